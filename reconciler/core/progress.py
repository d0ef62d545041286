"""Whether a rollout gets anywhere. One that does not is given up, and the last good revision serves on.

Progress is read off the world: a replica of the new revision that became available moves the clock forward. Only when the
rollout began is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reconciler.core.health import Replica
from reconciler.core.history import History
from reconciler.core.stack import Stack

CRASH_LIMIT: Final = 3
"""Deaths of one replica of a new revision, during its rollout, that are no accident any more."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a rollout is given up; `container` is one whose log may tell more, if there still is one."""

    reason: str
    message: str
    container: str | None = None


def judge_progress(
    stack: Stack, replicas: Sequence[Replica], history: History, started: datetime | None, now: datetime
) -> Failure | None:
    """Why the rollout towards the stack's revision has failed, or None. `started` is None when none is under way."""
    strategy = stack.strategy
    current = [r for r in replicas if r.current or r.asked]
    available = [r for r in current if r.available(strategy.min_ready)]
    if started is None or strategy.paused or len(available) >= stack.serving:
        return None
    suspects = [r.container.id for r in current if r not in available]
    suspect = suspects[-1] if suspects else None
    deaths = sum(
        death >= started for workload in stack.web for death in history.deaths.get(workload.name, ())
    )
    # Each of the others may have died once beside it: they were started side by side.
    if deaths >= CRASH_LIMIT + stack.replicas - 1:
        return Failure("CrashLoop", f"replicas of {stack.revision} died {deaths} times", suspect)
    moments = [now - timedelta(seconds=r.member.since) for r in available if r.member]
    if (now - max([started, *moments])).total_seconds() <= strategy.progress_deadline:
        return None
    count = f"{len(available)} of {stack.serving} replicas of {stack.revision} are available"
    count += f", {deaths} died" if deaths else ""
    return Failure(
        "ProgressDeadlineExceeded", f"no progress for {strategy.progress_deadline:.0f} s: {count}", suspect
    )


def look_in(stack: Stack, started: datetime | None, now: datetime) -> float | None:
    """Seconds until the deadline can have passed, to look again then."""
    if started is None:
        return None
    return max(1.0, stack.strategy.progress_deadline - (now - started).total_seconds())
