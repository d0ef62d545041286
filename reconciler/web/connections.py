"""Limits on open connections, in total and for each client, so that one client cannot starve the others.

At a limit, the connection that has been idle longest is closed for the new one: its client can connect again. The new
connection is closed only if a request is being answered on every other one.
"""

from __future__ import annotations

import errno
import logging
import resource
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

MAX_CONNECTIONS: Final = 256
MAX_PER_CLIENT: Final = 64
FILES_FOR_OTHERS: Final = 4
"""At most one in this many file descriptors of the process is a connection."""
QUIET_SECONDS: Final = 60.0

_log = logging.getLogger(__name__)


class Connection(Protocol):
    """One open connection. `silent_since` is None while a request is being answered."""

    client_address: str

    @property
    def silent_since(self) -> float | None: ...

    def hang_up(self) -> None: ...


class Connections:
    """The open connections of one server; used from its event loop only."""

    def __init__(self, most: int = MAX_CONNECTIONS, most_of_one: int = MAX_PER_CLIENT) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._open: set[Connection] = set()
        self._counts: Counter[str] = Counter()

    def add(self, new: Connection) -> None:
        """Add a connection, and close another one if a limit is reached."""
        self._open.add(new)
        self._counts[new.client_address] += 1
        if self._counts[new.client_address] > self._most_of_one:
            self._make_room(new.client_address, new)
        elif len(self._open) > self._most:
            self._make_room(max(self._counts, key=self._counts.__getitem__), new)

    def remove(self, closed: Connection) -> None:
        """Remove a connection; safe to repeat."""
        if closed in self._open:
            self._open.remove(closed)
            self._counts[closed.client_address] -= 1
            self._counts += Counter()

    def _make_room(self, client: str, new: Connection) -> None:
        silent = [
            (since, each)
            for each in self._open
            if each.client_address == client and each is not new and (since := each.silent_since) is not None
        ]
        leaving = min(silent, key=lambda pair: pair[0])[1] if silent else new
        self.remove(leaving)
        leaving.hang_up()


def affordable() -> int:
    """How many connections the file descriptor limit of this process allows."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft < 0 else max(1, min(MAX_CONNECTIONS, soft // FILES_FOR_OTHERS))


class RareErrors:
    """An asyncio exception handler that logs exhausted file descriptors once a minute instead of at each accept."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: float | None = None

    def __call__(self, loop: Any, context: Mapping[str, Any]) -> None:
        """Handle an exception of the event loop."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
        elif self._told is None or self._clock() - self._told >= QUIET_SECONDS:
            self._told = self._clock()
            _log.warning("no file descriptor is left for new connections: raise the limit (ulimit -n)")
