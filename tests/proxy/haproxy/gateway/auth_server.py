"""An auth service for tests, in this process: it remembers what it was asked, and answers as it is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.proxy.conftest import Replica

__all__ = ["AuthServer", "auth_server"]


@dataclass
class AuthServer:
    """`status`, `headers` and `body` are its next answers, after `delay` seconds; `asked` are path and headers of each
    question, names in lower case.
    """

    replica: Replica
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    delay: float = 0.0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def says(
        self, status: int, *headers: tuple[str, str], body: bytes = b"", delay: float = 0.0
    ) -> AuthServer:
        """Answer so from now on."""
        self.status, self.headers, self.body, self.delay = status, list(headers), body, delay
        self.asked.clear()
        return self

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.replica.address}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Health checks hang up when they know enough."""


@contextmanager
def auth_server(address: str) -> Iterator[AuthServer]:
    """One that listens on a port of this address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/healthz":
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            names = [name.lower() for name in self.headers]
            assert len(names) == len(set(names)), names
            made.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            time.sleep(made.delay)
            self.send_response(made.status)
            for name, value in made.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = _Server((address, 0), Handler)
    made = AuthServer(Replica("auth", f"{address}:{server.server_address[1]}"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
