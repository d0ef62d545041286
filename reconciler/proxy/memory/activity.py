"""What proxies in memory know of requests, as HAProxy does: the last one that came or ended, and how many are open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from reconciler.core.assess.observation import Activity

__all__ = ["MemoryActivity"]

NEVER: Final = float("-inf")


class MemoryActivity:
    """The requests of all projects; `waiting` counts those that are held, by project."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._ends: dict[str, list[float]] = {}
        self.waiting: dict[str, int] = {}

    def came(self, project: str, seconds: float) -> None:
        """A request came that a server answers in so many seconds."""
        self._last[project] = self._clock()
        self._ends.setdefault(project, []).append(self._clock() + seconds)

    def waits(self, project: str) -> None:
        """A request came that no server can take."""
        self._last[project] = self._clock()
        self.waiting[project] = self.waiting.get(project, 0) + 1

    def gave_up(self, project: str) -> None:
        """A request that waited ended without an answer, or is sent to a server now."""
        self._last[project] = self._clock()
        self.waiting[project] -= 1

    def last(self, project: str) -> float:
        """When the last request came or ended."""
        now = self._clock()
        ended = [end for end in self._ends.get(project, ()) if end <= now]
        self._ends[project] = [end for end in self._ends.get(project, ()) if end > now]
        self._last[project] = max(self._last.get(project, NEVER), *ended, NEVER)
        return self._last[project]

    def of(self, project: str, born: Iterable[float]) -> Activity | None:
        """What is known to processes that were started at these times."""
        started, now, last = max(born, default=None), self._clock(), self.last(project)
        if started is None:
            return None
        if last >= started:
            return Activity(now - last, is_known=True, open=self.open(project))
        return Activity(now - started, is_known=False, open=self.open(project))

    def open(self, project: str) -> int:
        """The requests that are under way or wait."""
        self.last(project)
        return self.waiting.get(project, 0) + len(self._ends[project])
