"""Waits for changes of objects by watches of the API, so that a verb that waits asks only after one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from reconciler.api.errors import VaultError
from reconciler.api.kinds import KINDS, Kind
from reconciler.cli.remote.connection import path_of

if TYPE_CHECKING:
    from reconciler.cli.remote.connection import Connection
    from reconciler.cli.remote.objects import RemoteObjects

__all__ = ["Watches", "watching"]

LONGEST_SECONDS: Final = 5.0
"""Longest wait without an event: a network may lose a connection silently."""
BLIND_SECONDS: Final = 1.0
"""The same while a watch is refused, or its server is away."""
AGAIN_SECONDS: Final = 2.0
"""Between the end of a watch and the next try."""
JOIN_SECONDS: Final = 0.05
"""Changes within this time end one wait."""
# A line at the end of what there is: what has changed before the watch began is looked at then.
_QUERY: Final = {
    "watch": "true",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}


class Watches:
    """Changes of the objects of all kinds since the last wait."""

    def __init__(self, connection: Connection, objects: RemoteObjects) -> None:
        self._connection = connection
        self._objects = objects
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[str, socket.socket] = {}
        for kind in KINDS.values():
            threading.Thread(
                target=self._follow, args=(kind,), name=f"watch {kind.plural}", daemon=True
            ).start()

    def wait(self, seconds: float) -> None:
        """Return after a change, at the latest after `seconds`, or earlier."""
        is_told = len(self._open) == len(KINDS)
        longest = LONGEST_SECONDS if is_told else BLIND_SECONDS
        if self._changed.wait(max(0.0, min(seconds, longest))):
            time.sleep(JOIN_SECONDS)
            self._changed.clear()
        self._objects.forget()

    def end(self) -> None:
        """End all watches."""
        self._ended.set()
        with self._lock:
            for each in self._open.values():
                _shut(each)

    def _follow(self, kind: Kind) -> None:
        while not self._ended.is_set():
            with suppress(VaultError):
                for _ in self._connection.lines(
                    path_of(kind), lambda opened: self._begin(kind, opened), **_QUERY
                ):
                    self._changed.set()
            with self._lock:
                self._open.pop(kind.name, None)
            self._ended.wait(AGAIN_SECONDS)

    def _begin(self, kind: Kind, opened: socket.socket) -> None:
        with self._lock:
            self._open[kind.name] = opened
            if self._ended.is_set():
                _shut(opened)


def _shut(opened: socket.socket) -> None:
    # That of TLS itself would take the state of the connection from the thread that reads it.
    with suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)


@contextmanager
def watching(connection: Connection, objects: RemoteObjects) -> Iterator[Watches]:
    """The changes from now on."""
    watches = Watches(connection, objects)
    try:
        yield watches
    finally:
        watches.end()
