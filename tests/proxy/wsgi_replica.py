"""The program of a replica: Python's own WSGI server, whose application answers with the environment that it got."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIServer, make_server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


class Server(ThreadingMixIn, WSGIServer):
    """A connection that is kept open does not stop the others."""

    daemon_threads = True


def application(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    """A large header in the answer if asked for by X-Answer; server-sent events at /events."""
    if environment["PATH_INFO"] == "/events":
        start("200 OK", [("Content-Type", "text/event-stream")])
        return events()
    large = "l" * int(environment.get("HTTP_X_ANSWER", "0"))
    start("200 OK", [("Content-Type", "application/json"), ("X-Large", large)])
    texts = {name: value for name, value in environment.items() if isinstance(value, str)}
    return [json.dumps(texts).encode()]


def events() -> Iterator[bytes]:
    """Two of them, a second apart."""
    yield b"data: 1\n\n"
    time.sleep(1)
    yield b"data: 2\n\n"


if __name__ == "__main__":
    make_server("", 8000, application, server_class=Server).serve_forever()
