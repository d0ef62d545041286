"""A visitor does what its steps say, and notices every answer that is another one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.catalogue.visitor import UnexpectedAnswerError, Visitor


class Site(BaseHTTPRequestHandler):
    """Answers with what it was asked; /login sets a cookie and redirects, /gone is not there."""

    def do_GET(self) -> None:
        """Any method is answered here."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        asked = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
        self.send_response({"/gone": 404, "/login": 302}.get(self.path, 200))
        if self.path == "/login":
            self.send_header("Set-Cookie", "session=one")
            self.send_header("Location", "/?token=a&amp;b")
        content = json.dumps(asked).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_MKCALENDAR = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield Visitor(server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("step", "seen"),
    [
        ({"do": "MKCALENDAR /$word/"}, '"method": "MKCALENDAR", "path": "/$word/"'),
        ({"do": "GET /", "as": "olga:x"}, '"Authorization": "Basic b2xnYTp4"'),
        ({"do": "GET /", "as": "$word"}, '"Authorization": "Bearer $word"'),
        ({"do": "GET /", "headers": {"X-Word": "$word"}}, '"X-Word": "$word"'),
        ({"do": "POST /", "form": {"a": "b c", "word": "$word"}}, '"body": "a=b+c&word=$word"'),
        ({"do": "POST /", "json": {"word": ["$word"]}}, 'word\\": [\\"$word\\"]'),
        ({"do": "PUT /", "body": "about $word"}, '"body": "about $word"'),
        ({"do": "POST /", "multipart": {"a": "$word"}}, 'name=\\"a\\"\\r\\n\\r\\n$word\\r\\n'),
    ],
)
def test_what_a_step_says_is_asked(visitor: Visitor, step: dict[str, Any], seen: str) -> None:
    visitor.take([step | {"has": seen, "patient": False}])


def test_what_is_kept_is_used_by_the_steps_after_it(visitor: Visitor) -> None:
    visitor.take(
        [
            {"do": "GET /login", "status": 302, "keep": {"token": r"Location: /\?token=(\S+)"}},
            {"do": "GET /$token", "has": '"path": "/a&b"'},
            {"do": "GET /", "has": '"Cookie": "session=one"'},
        ]
    )


@pytest.mark.parametrize(
    "step",
    [
        {"do": "GET /gone"},
        {"do": "GET /", "status": 401},
        {"do": "GET /login", "status": 200},
        {"do": "GET /", "has": "what is not there"},
        {"do": "GET /", "keep": {"x": "(nothing like that)"}},
    ],
)
def test_another_answer_is_an_error(visitor: Visitor, step: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedAnswerError, match="the answer is"):
        visitor.take([step])


def test_two_visitors_have_their_own_words_and_cookies(visitor: Visitor) -> None:
    other = Visitor(visitor.port)
    visitor.take([{"do": "GET /login"}])
    assert other.kept["word"] != visitor.kept["word"]
    with pytest.raises(UnexpectedAnswerError):
        other.take([{"do": "GET /", "has": "Cookie"}])
