"""A real HTTP server that takes messages and remembers them, or refuses them."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest

from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.notify.notify import Teller, keep_telling
from tests.e2e.waiting import until

PATIENCE: Final = 60.0


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


def tells_after_an_absence(teller: Teller, chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    """The thread of a teller that has something to tell goes on while nobody takes it, until somebody does."""
    chat.status, stop = 500, threading.Event()
    backoff = Backoff(random.Random(1), base=0.01)
    thread = threading.Thread(target=keep_telling, args=(teller, backoff, stop), daemon=True)
    thread.start()
    failure = f"{type(teller).__name__} was not sent"
    until("the absence is noticed", lambda: failure in caplog.text, PATIENCE)
    chat.status = 200
    until("it is told after all", lambda: chat.messages, PATIENCE)
    stop.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
