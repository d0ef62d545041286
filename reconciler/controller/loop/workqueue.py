"""A queue of names without duplicates or losses, in which no name is processed by two workers at once.

The rules are those of client-go's workqueue: a key that is added while it waits is the same key; one that is added while it
is processed is queued again when that is done.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

REPLACED: Final = 1000
"""Delays that no longer count and are remembered at most, beside as many as there are keys with one."""


class WorkQueue:
    """Keys that wait for a worker, now or after a delay (seconds).

    `waited` is told for how many seconds each key that is handed out was ready.
    """

    def __init__(
        self,
        clock: Callable[[], float] = monotonic,
        waited: Callable[[float], object] = lambda seconds: None,
    ) -> None:
        self._clock = clock
        self._waited = waited
        self._changed = threading.Condition()
        self._ready: dict[str, float] = {}
        self._working: dict[str, float] = {}
        self._again: set[str] = set()
        self._delayed: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._closed = False

    def add(self, key: str) -> bool:
        """Queue this key now; returns whether it was not queued before."""
        with self._changed:
            return self._add(key)

    def add_after(self, key: str, delay: float) -> None:
        """Queue this key in `delay` seconds, unless it is due sooner anyway."""
        with self._changed:
            due = self._clock() + delay
            if due < self._delayed.get(key, float("inf")):
                self._delayed[key] = due
                heapq.heappush(self._heap, (due, key))
                # One that is replaced stays until it comes first, which may take as long as the longest delay.
                if len(self._heap) > 2 * len(self._delayed) + REPLACED:
                    self._heap = [(moment, each) for each, moment in self._delayed.items()]
                    heapq.heapify(self._heap)
                self._changed.notify()

    def get(self, timeout: float | None = None) -> str | None:
        """The next key, or None when the queue was closed or the time is over."""
        deadline = None if timeout is None else self._clock() + timeout
        with self._changed:
            while not self._closed:
                next_due = self._promote()
                if self._ready:
                    key = next(iter(self._ready))
                    self._working[key] = self._clock()
                    self._waited(self._working[key] - self._ready.pop(key))
                    return key
                limits = [moment for moment in (next_due, deadline) if moment is not None]
                remaining = min(limits) - self._clock() if limits else None
                if deadline is not None and deadline <= self._clock():
                    return None
                self._changed.wait(remaining)
            return None

    def done(self, key: str) -> None:
        """The worker has finished with this key."""
        with self._changed:
            self._working.pop(key, None)
            if key in self._again:
                self._again.discard(key)
                self._add(key)

    def close(self) -> None:
        """Close the queue; waiting workers get None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def depth(self) -> int:
        """How many keys wait for a worker now."""
        return len(self._ready)

    def working_seconds(self) -> tuple[float, ...]:
        """For how long each key that is worked on has been."""
        now = self._clock()
        with self._changed:
            return tuple(now - since for since in self._working.values())

    def _add(self, key: str) -> bool:
        self._delayed.pop(key, None)
        if self._closed or key in self._ready or key in self._again:
            return False
        if key in self._working:
            self._again.add(key)
        else:
            self._ready[key] = self._clock()
            self._changed.notify()
        return True

    def _promote(self) -> float | None:
        """Move what is due to the ready ones; returns when the next delayed key is due."""
        while self._heap:
            due, key = self._heap[0]
            if self._delayed.get(key) != due:
                heapq.heappop(self._heap)
            elif due <= self._clock():
                heapq.heappop(self._heap)
                self._add(key)
            else:
                return due
        return None
