"""A way to an engine that notes each request which changes something, and when it was sent."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from reconciler.engines.swarm.lease import NAME
from tests.e2e.listener import Listener

__all__ = ["Change", "Witness", "turns"]

CHUNK: Final = 65536
_REQUEST: Final = re.compile(rb"(POST|PUT|DELETE) /v[0-9.]+(/\S*) HTTP/1\.1\r\n")
_NO_CHANGE: Final = ("/session", "/grpc", "/auth")
"""What the command line asks of an engine without changing anything."""


@dataclass(frozen=True, order=True)
class Change:
    """One request: when it was sent (of the monotonic clock), by which controller, and what it asked for."""

    moment: float
    controller: str
    what: str

    @property
    def is_lease(self) -> bool:
        """Whether it writes the lease."""
        return f"/configs/{NAME}" in self.what or self.what == "POST /configs/create"


class Witness(Listener):
    """Listens on a UNIX socket and passes everything on to the engine at another one."""

    def __init__(self, path: Path, engine: str, controller: str) -> None:
        self._engine = engine.removeprefix("unix://")
        self._controller = controller
        self.seen: list[Change] = []
        super().__init__(path)

    @property
    def changes(self) -> list[Change]:
        """What was changed, without the lease."""
        return [each for each in self.seen if not each.is_lease]

    def serve(self, client: socket.socket) -> None:
        """Pass everything on, in both directions."""
        with client, socket.socket(socket.AF_UNIX) as engine, suppress(OSError):
            engine.connect(self._engine)
            while True:
                for source in select.select([client, engine], [], [])[0]:
                    if not (chunk := source.recv(CHUNK)):
                        return
                    if source is client:
                        self._note(chunk)
                    (engine if source is client else client).sendall(chunk)

    def _note(self, chunk: bytes) -> None:
        for method, target in _REQUEST.findall(chunk):
            path = target.decode().partition("?")[0]
            if path not in _NO_CHANGE:
                self.seen.append(Change(time.monotonic(), self._controller, f"{method.decode()} {path}"))


def turns(changes: Iterable[Change]) -> list[str]:
    """The controllers in the order in which they changed something; two that act at once have several turns each."""
    return [name for name, _ in groupby(each.controller for each in sorted(changes))]
