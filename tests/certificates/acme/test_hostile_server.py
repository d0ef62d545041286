"""Whatever a server answers, the controller gets an error of one line, in bounded time and memory."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from reconciler.certificates.acme.client import MAX_ANSWER, AcmeServer
from reconciler.certificates.errors import AcmeAwayError, AcmeError, Why
from reconciler.certificates.self_signed import new_key, self_signed
from reconciler.certificates.store import Account

NONCE = "bm9uY2Utb2Ytc2V2ZW50ZWVu"


@dataclass
class Hostile:
    """A server that says what a test wants it to say: `orders` is the answer to each order."""

    port: int
    ca_file: str
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def say(self, status: int, body: Any, **headers: str) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def server(self) -> AcmeServer:
        url = f"https://localhost:{self.port}"
        return AcmeServer(Account(f"{url}/dir", new_key(), f"{url}/account/1"), ca_file=self.ca_file)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(200, b"", {})

        def do_GET(self) -> None:
            base = f"https://localhost:{made.port}"
            names = ("newNonce", "newAccount", "newOrder", "renewalInfo")
            self._answer(200, json.dumps({name: f"{base}/{name}" for name in names}).encode(), {})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(made.status, made.body, made.headers)

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Replay-Nonce": NONCE, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    directory = tmp_path_factory.mktemp("hostile")
    own = self_signed(["localhost"], datetime.now(UTC))
    (directory / "server.pem").write_text(own.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "server.pem")
    (directory / "ca.pem").write_text(own.chain)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        made = Hostile(server.server_port, str(directory / "ca.pem"))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join(20)


ORDER = {"status": "pending", "finalize": "https://localhost/f", "authorizations": ["https://localhost/a"]}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>It works!</html>"),
        (200, []),
        (200, {"status": "no such status"}),
        (200, {**ORDER, "authorizations": 3}),
        (200, {"authorizations": None}),
        (200, b"\xff\xfe\x00"),
        (200, b"x" * (MAX_ANSWER + 1)),
        (500, b"oops"),
        (502, b"<html>bad gateway</html>"),
        (400, ["a list"]),
        (400, {"type": 7, "detail": {"x": 1}}),
        (409, {"type": "conflict"}),
        (302, b""),
    ],
)
def test_nonsense_is_a_server_that_is_away(hostile: Hostile, status: int, body: Any) -> None:
    hostile.say(status, body)
    server = hostile.server()
    with pytest.raises(AcmeError) as caught:
        server.place(["a.example.org"], profile=None, replaces="")
    server.close()
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 800


def test_an_order_without_an_address_is_none(hostile: Hostile) -> None:
    hostile.say(201, ORDER)
    server = hostile.server()
    with pytest.raises(AcmeAwayError, match="is not that of an ACME server"):
        server.place(["a.example.org"], profile=None, replaces="")
    server.close()


def test_an_explanation_is_one_line_of_limited_length(hostile: Hostile) -> None:
    detail = "a\nb\x1b[31m\u202e" + "x" * 5000
    hostile.say(400, {"type": "urn:ietf:params:acme:error:malformed", "detail": detail})
    server = hostile.server()
    with pytest.raises(AcmeError, match=r"a b \[31m") as caught:
        server.place(["a.example.org"], profile=None, replaces="")
    server.close()
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", (120, 120)),
        ("Fri, 01 Jan 2100 00:00:00 GMT", (2e9, 3e9)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", (0, 0)),
        ("soon", None),
        ("-5", None),
        ("9" * 400, (999999999, 999999999)),
    ],
)
def test_a_rate_limit_says_how_long(
    hostile: Hostile, header: str, seconds: tuple[float, float] | None
) -> None:
    hostile.say(
        429, {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "slow down"}, Retry_After=header
    )
    server = hostile.server()
    with pytest.raises(AcmeError, match=r"slow down \(rateLimited\); it is tried again") as caught:
        server.place(["a.example.org"], profile=None, replaces="")
    server.close()
    assert caught.value.why is Why.RATE_LIMITED
    if seconds is None:
        assert caught.value.delay is None
    else:
        assert caught.value.delay is not None
        assert seconds[0] <= caught.value.delay <= seconds[1]
