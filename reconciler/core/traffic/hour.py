"""The last hour of one service in memory: a tally for each minute, and the last minute to the second."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from reconciler.core.traffic.tally import NONE, Tally

__all__ = ["MINUTES", "Hour", "Span"]

MINUTES: Final = 60
SECONDS: Final = 60.0
RECENT: Final = 60
"""Spans of the last minute that are kept at most."""


@dataclass(frozen=True, slots=True)
class Span:
    """What was asked in `seconds` from `begin` on, in Unix seconds."""

    begin: float
    seconds: float
    tally: Tally

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.tally.requests / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class Hour:
    """It has at most an hour, whatever is added."""

    _minutes: deque[Span] = field(default_factory=lambda: deque(maxlen=MINUTES + 1))
    _recent: deque[Span] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, now: float, seconds: float, tally: Tally) -> None:
        """What was asked in the `seconds` before `now`."""
        while self._recent and _end(self._recent[0]) <= now - SECONDS:
            self._recent.popleft()
        self._recent.append(Span(now - seconds, seconds, tally))
        begin = now // SECONDS * SECONDS
        if self._minutes and self._minutes[-1].begin == begin:
            last = self._minutes.pop()
            seconds, tally = last.seconds + seconds, last.tally + tally
        self._minutes.append(Span(begin, seconds, tally))

    def minutes(self, now: float) -> tuple[Span, ...]:
        """The minutes of the last hour in which anything was counted, oldest first."""
        return tuple(each for each in self._minutes if each.begin > now - (MINUTES + 1) * SECONDS)

    def latest(self, now: float) -> Span | None:
        """The last minute as one; None when nothing was counted in it."""
        spans = [each for each in self._recent if _end(each) > now - SECONDS]
        if not spans:
            return None
        return Span(
            spans[0].begin, sum(each.seconds for each in spans), sum((each.tally for each in spans), NONE)
        )


def _end(span: Span) -> float:
    return span.begin + span.seconds
