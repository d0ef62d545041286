"""A real HTTP server that takes messages and remembers them, or refuses them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Chat:
    """What was taken while `status` was 200; `calls` are path and credential of each."""

    url: str = ""
    status: int = 200
    messages: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        return [message["reason"] for message in self.messages]


@contextmanager
def listening() -> Iterator[Chat]:
    """Serve for as long as the block lasts."""
    chat = Chat()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if chat.status == 200:
                chat.messages.append(json.loads(body))
                chat.calls.append((self.path, self.headers.get("Authorization", "")))
            self.send_response(chat.status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Tests speak for themselves."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    chat.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/T0/secret"
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()
