"""When something happened in a Swarm, by the clock of this controller.

A Swarm's times are those of the node that wrote them, and clocks of nodes differ. Deadlines are measured with the clock of
the controller, so what it has seen happen has the time at which it saw that. What happened before its first look keeps the
time that the Swarm says, but none that is still to come; and what runs then has started with that look, so that a start
which takes its time is not taken for one that is overdue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

__all__ = ["AS_WRITTEN", "Moments", "When"]


class When(Protocol):
    """The times of one look at a project."""

    def started(self, key: str, written: datetime) -> datetime:
        """When what `key` names has begun to run."""

    def happened(self, key: str, written: datetime) -> datetime:
        """When something else happened."""


class _AsWritten:
    def started(self, key: str, written: datetime) -> datetime:
        return written

    def happened(self, key: str, written: datetime) -> datetime:
        return written


AS_WRITTEN: When = _AsWritten()
"""The times as the Swarm says."""


class Moments:
    """What was seen at the last look at each project. Threads may share it, if they look at different projects."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._known: dict[str, dict[str, datetime]] = {}

    @contextmanager
    def look(self, project: str) -> Iterator[When]:
        """The times of a new look; what it does not ask for is forgotten."""
        look = _Look(self._known.get(project), self._now())
        yield look
        self._known[project] = look.asked


class _Look:
    def __init__(self, known: dict[str, datetime] | None, now: datetime) -> None:
        self._known = known
        self._now = now
        self.asked: dict[str, datetime] = {}

    def started(self, key: str, written: datetime) -> datetime:
        return self._keep(key, self._now)

    def happened(self, key: str, written: datetime) -> datetime:
        return self._keep(key, min(written, self._now) if self._known is None else self._now)

    def _keep(self, key: str, first: datetime) -> datetime:
        self.asked[key] = (self._known or {}).get(key, first)
        return self.asked[key]
