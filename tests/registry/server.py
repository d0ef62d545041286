"""A registry whose answers are a table: what it was asked, and what it says to that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Say = Callable[["Asked"], "Said"]


@dataclass(frozen=True)
class Asked:
    """One request; the names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str = ""


@dataclass(frozen=True)
class Said:
    """One answer. `pieces` are sent as they come, in place of `body`."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: Callable[[], Iterator[bytes]] | None = None


@dataclass
class Server:
    """Where it is, and all that it was asked."""

    host: str = ""
    asked: list[Asked] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """Method and path of each request."""
        return [f"{each.method} {each.path}" for each in self.asked]


@contextmanager
def serving(say: Say) -> Iterator[Server]:
    """A server on this machine that answers by `say`."""
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        """Answers one request and closes."""

        def do_GET(self) -> None:
            """Answer by the table."""
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, self.rfile.read(length).decode())
            served.asked.append(asked)
            said = say(asked)
            try:
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                if said.pieces is None:
                    self.send_header("Content-Length", str(len(said.body)))
                self.end_headers()
                if self.command != "HEAD":
                    for piece in said.pieces() if said.pieces else (said.body,):
                        self.wfile.write(piece)
                        self.wfile.flush()
            except OSError:
                # The client has hung up, which is what some tests are about.
                self.close_connection = True

        do_HEAD = do_GET  # noqa: N815
        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    served.host = f"127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
