"""A way to the engine that lets through what is on a list and refuses everything else, as a filtering socket proxy does.

Every connection carries one request, so that no second one passes unseen behind the first.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.listener import Listener
from tests.e2e.relay import CHUNK, ENGINE

HEAD_END: Final = b"\r\n\r\n"
VERSION: Final = re.compile(r"/v1\.\d+(?=/)")
PART: Final = re.compile(r"\{[a-z]+\}")
"""In a path of the list: an ID or a name, which may have slashes and colons as images do."""


@dataclass(frozen=True)
class Call:
    """One call of the engine's API; `path` without version and query, such as `/containers/{id}/start`."""

    method: str
    path: str

    def covers(self, method: str, path: str) -> bool:
        """Whether a request is one of these."""
        pattern = "".join(
            "[A-Za-z0-9_.:/%@-]+" if PART.fullmatch(part) else re.escape(part)
            for part in re.split(r"(\{[a-z]+\})", self.path)
        )
        return method == self.method and re.fullmatch(pattern, path) is not None


class Filter(Listener):
    """Listens on a UNIX socket of its own. `used` are the calls of the list that came, `refused` what is not on it."""

    def __init__(self, path: Path, calls: Iterable[Call], engine: str = ENGINE) -> None:
        self.used: set[Call] = set()
        self.refused: set[str] = set()
        self._calls = tuple(calls)
        self._engine = engine
        super().__init__(path)

    def serve(self, client: socket.socket) -> None:
        """Pass a request of the list on, and what comes of it back."""
        with client, socket.socket(socket.AF_UNIX) as engine, suppress(OSError):
            received = b""
            while HEAD_END not in received:
                if not (chunk := client.recv(CHUNK)):
                    return
                received += chunk
            head, _, body = received.partition(HEAD_END)
            if not self._lets_through(head):
                client.sendall(_refusal())
                return
            engine.connect(self._engine)
            engine.sendall(_alone(head) + HEAD_END + body)
            back = threading.Thread(target=_pump, args=(engine, client), daemon=True)
            back.start()
            _pump(client, engine)
            back.join()

    def _lets_through(self, head: bytes) -> bool:
        method, target, _ = head.decode("latin-1").split("\r\n", 1)[0].split(" ", 2)
        path = VERSION.sub("", target.partition("?")[0], count=1)
        found = [call for call in self._calls if call.covers(method, path)]
        self.used.update(found)
        if not found:
            self.refused.add(f"{method} {path}")
        return bool(found)


def _alone(head: bytes) -> bytes:
    """Ask the engine to close the connection after its answer, unless it is to become something else than HTTP."""
    lines = head.split(b"\r\n")
    if any(line.lower().startswith(b"upgrade:") for line in lines):
        return head
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*kept, b"Connection: close"])


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass everything on, and then that there is no more."""
    with suppress(OSError):
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _refusal() -> bytes:
    body = json.dumps({"message": "this call is not on the list"}).encode()
    head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
