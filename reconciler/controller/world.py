"""What a pass works with, and one look at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from reconciler.core.diff import Difference, Kind, diff
from reconciler.core.health import Replica
from reconciler.core.history import FORGET_AFTER, History
from reconciler.core.judged import Judged, judge
from reconciler.core.observed import Observed
from reconciler.core.plan import Plan
from reconciler.core.planner import plan
from reconciler.core.stack import Role, Stack

if TYPE_CHECKING:
    from reconciler.api import VaultService
    from reconciler.controller.board import Board
    from reconciler.controller.journal import Journal
    from reconciler.engines.base import Engine
    from reconciler.proxy.base import Proxy
    from reconciler.store.base import Objects, Records


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a pass can see and change; `now` gives aware UTC datetimes, `clock` seconds for durations."""

    objects: Objects
    records: Records
    engine: Engine
    proxy: Proxy
    build: Callable[[VaultService], Stack]
    journal: Journal
    board: Board
    now: Callable[[], datetime]
    clock: Callable[[], float]


@dataclass(frozen=True)
class Sight:
    """One look: what runs for a stack, what it is good for, what is remembered, and what would be done about it."""

    judged: Judged
    history: History
    plan: Plan

    @property
    def stack(self) -> Stack:
        """What is wanted."""
        return self.judged.stack

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Every container of the pool, oldest first."""
        return self.judged.replicas

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """How far there is still to go."""
        return diff(self.judged)

    @cached_property
    def unsettled(self) -> tuple[Difference, ...]:
        """The differences that are still to go; a tag that was moved is told, and followed only when that is asked for."""
        return tuple(each for each in self.differences if each.kind is not Kind.IMAGE)

    @property
    def now(self) -> datetime:
        """When this look was taken."""
        return self.judged.now


def look(stack: Stack, engine: Engine, proxy: Proxy, records: Records, now: datetime) -> Sight:
    """Look at everything that the stack says something about, and plan; changes nothing. Raises VaultError."""
    completions = records.completions(stack.name) if stack.of(Role.JOB) else {}
    stack = stack.with_done(lambda job: not job.revisions.isdisjoint(completions.get(job.name, ())))
    seen = engine.observe(stack)
    observed = Observed(seen, proxy.observe(stack, [c for c in seen.containers if c.role is Role.PROXY]))
    revisions = {workload.name: workload.revisions for workload in stack.workloads}
    history = History(records.deaths(stack.name, revisions, now - FORGET_AFTER))
    judged = judge(stack, observed, now)
    return Sight(judged, history, plan(judged, history))
