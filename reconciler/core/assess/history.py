"""The input of a plan that cannot be observed: which replicas died lately.

It comes from the store; without it a plan is still safe, but has no back-off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Final

FORGET_AFTER: Final = timedelta(minutes=10)
"""A death longer ago than this no longer counts, as in Kubernetes' crash-loop back-off."""

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 300.0


@dataclass(frozen=True, slots=True)
class History:
    """`deaths`: per workload, when replicas of its current revision ended without being asked to, oldest first."""

    deaths: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)

    def recent_deaths(self, workload: str, now: datetime) -> int:
        """How many replicas of a workload died within FORGET_AFTER."""
        return len(self._recent(workload, now))

    def wait_before_replacing(self, workload: str, replicas: int, now: datetime) -> float:
        """Seconds until a dead replica may be replaced: none for the first death, then 1, 2, 4 … 300 after the last one.

        Only when each of the `replicas` may have died once more does the wait double: what kills all of them at once is
        one accident.
        """
        recent = self._recent(workload, now)
        rounds = ceil(len(recent) / max(1, replicas))
        if rounds < 2:
            return 0.0
        delay: float = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (rounds - 2))
        return max(0.0, delay - (now - recent[-1]).total_seconds())

    def _recent(self, workload: str, now: datetime) -> list[datetime]:
        # Deaths in the future were recorded before the clock was set back, and would prolong every wait.
        return [d for d in self.deaths.get(workload, ()) if timedelta() <= now - d < FORGET_AFTER]
