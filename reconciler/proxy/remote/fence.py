"""Lets each request of the loop through once, and only in its time.

A request may lie in the network until the loop has given it up and done something else; one that was recorded may be sent
again. So each says until when it is to be begun, by this machine's clock, and has an id that is accepted once.
"""

from __future__ import annotations

import threading
from typing import Final

__all__ = ["MAX_AHEAD", "Fence", "StaleError"]

MAX_AHEAD: Final = 60.0
"""Seconds from now until the latest end of a request. An id is remembered for as long as it could be used again."""
MAX_IDS: Final = 100_000


class StaleError(Exception):
    """A request that is not to be carried out; the message says why."""


class Fence:
    """The ids of the requests that could still be repeated. Any thread may use it."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}
        self._lock = threading.Lock()

    def admit(self, id: str, until: float, now: float) -> None:
        """Let a request through; `until` and `now` are monotonic seconds. Raises StaleError."""
        if until <= now:
            raise StaleError("it came too late")
        if until > now + MAX_AHEAD:
            raise StaleError("its end is too far ahead: it was made for another clock")
        with self._lock:
            if len(self._known) >= MAX_IDS:
                self._known = {each: end for each, end in self._known.items() if end > now}
            if id in self._known or len(self._known) >= MAX_IDS:
                raise StaleError("it was sent before" if id in self._known else "there are too many of them")
            self._known[id] = until
