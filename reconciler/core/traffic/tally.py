"""Requests that were answered, as numbers that can be added: how many, how many failed, and how long they took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["BOUNDS", "NONE", "Count", "Tally", "between"]

BOUNDS: Final = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
"""Milliseconds to the first byte of an answer at which a class of times ends; one more class has all above."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Some requests: `errors` were answered with 5xx, `times` are how many answers are in each class of BOUNDS."""

    requests: int = 0
    errors: int = 0
    times: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)

    def __add__(self, other: Tally) -> Tally:
        times = tuple(map(sum, zip(self.times, other.times, strict=True)))
        return Tally(self.requests + other.requests, self.errors + other.errors, times)

    def since(self, before: Tally) -> Tally | None:
        """What was counted after `before`; None when a counter has begun again."""
        times = tuple(now - then for now, then in zip(self.times, before.times, strict=True))
        requests, errors = self.requests - before.requests, self.errors - before.errors
        return None if min(requests, errors, *times) < 0 else Tally(requests, errors, times)

    @property
    def error_share(self) -> float | None:
        """The part of requests that failed, 0 to 1; None without requests."""
        return self.errors / self.requests if self.requests else None

    def quantile(self, part: float) -> float | None:
        """The milliseconds within which this part (0 to 1) of the answers began, as if times were spread evenly in their
        class; None without answers, the last bound for what is above it.
        """
        wanted = part * sum(self.times)
        if wanted <= 0:
            return None
        seen, low = 0, 0
        for high, count in zip(BOUNDS, self.times, strict=False):
            if count and seen + count >= wanted:
                return low + (high - low) * (wanted - seen) / count
            seen, low = seen + count, high
        return float(BOUNDS[-1])


NONE: Final = Tally()


@dataclass(frozen=True, slots=True)
class Count:
    """What one process has counted for a service since it was started, `uptime` seconds ago. `source` tells processes, and
    what they count, apart.
    """

    service: str
    source: str
    uptime: float
    tally: Tally


def between(before: Mapping[str, Tally], counts: Iterable[Count], elapsed: float | None) -> dict[str, Tally]:
    """What each service was asked since the tallies `before` (by source), which were taken `elapsed` seconds ago.

    A process that was started since then has counted nothing else. Of one that is new to us, and older, or that has begun
    to count again, nothing is known.
    """
    found: dict[str, Tally] = {}
    for count in counts:
        known = before.get(count.source)
        if known is None:
            is_new = elapsed is not None and count.uptime <= elapsed
            asked = count.tally if is_new else NONE
        else:
            asked = count.tally.since(known) or NONE
        found[count.service] = found.get(count.service, NONE) + asked
    return found
