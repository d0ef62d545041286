"""What answers requests as an engine does, without one."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

VERSION: Final = "1.45"
MISSING: Final = (404, b'{"message": "no such object"}')


class UnixServer(socketserver.ThreadingUnixStreamServer):
    """Listens on a UNIX socket."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client may close before it has read all."""


class TcpServer(socketserver.ThreadingTCPServer):
    """Listens on a port."""

    daemon_threads = True


def at_socket(path: Path) -> FakeEngine:
    """An engine at this UNIX socket."""
    return FakeEngine(lambda handler: UnixServer(str(path), handler))


class FakeEngine:
    """Answers each target, or path without its query, with a status and a body.

    `chunked` sends bodies in pieces, `cut` ends them too early; `asked` are the targets of all requests to read. `sent` has
    method, target and body of the others, which `answer_sent` answers.
    """

    def __init__(self, server: Callable[[type[BaseHTTPRequestHandler]], socketserver.BaseServer]) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.sent: list[tuple[str, str, bytes]] = []
        self.answer_sent: Callable[[str, str], tuple[int, bytes]] = lambda method, target: MISSING
        self.version: object = VERSION
        self.chunked = False
        self.cut = False
        self.server = server(self._handler())
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> Any:
        """The path of its socket, or its host and port."""
        return self.server.server_address

    def close(self) -> None:
        """Listen no more."""
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                engine.asked.append(self.path)
                if self.path == "/version":
                    status, body = 200, json.dumps({"ApiVersion": engine.version}).encode()
                else:
                    path = self.path.partition("?")[0]
                    status, body = engine.answers.get(self.path) or engine.answers.get(path, MISSING)
                self.send_response(status)
                self.send_header("Connection", "close")
                if engine.chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for piece in (body[:7], body[7:]):
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.write(b"0\r\n\r\n")
                else:
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body[:-3] if engine.cut else body)

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                engine.sent.append((self.command, self.path, sent))
                status, body = engine.answer_sent(self.command, self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_DELETE(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
