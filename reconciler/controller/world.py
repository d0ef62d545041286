"""What a pass works with, and one look at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from reconciler.api import VaultService
from reconciler.controller.board import Board
from reconciler.controller.journal import Journal
from reconciler.core.health import Replica, judge_replicas
from reconciler.core.history import FORGET_AFTER, History
from reconciler.core.observed import Observed
from reconciler.core.plan import Plan
from reconciler.core.planner import plan
from reconciler.core.pool import merge
from reconciler.core.stack import Role, Stack
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


@dataclass(frozen=True, slots=True)
class Sight:
    """One look: what runs for a stack, what each replica is good for, and what would be done about it."""

    stack: Stack
    observed: Observed
    history: History
    replicas: tuple[Replica, ...]
    plan: Plan
    now: datetime


def look(stack: Stack, engine: Engine, proxy: Proxy, records: Records, now: datetime) -> Sight:
    """Look at everything that the stack says something about, and plan; changes nothing. Raises VaultError."""
    seen = engine.observe(stack)
    observed = Observed(seen, proxy.observe(stack, [c for c in seen.containers if c.role is Role.PROXY]))
    revisions = {workload.name: workload.revisions for workload in stack.workloads}
    history = History(records.deaths(stack.name, revisions, now - FORGET_AFTER))
    replicas = judge_replicas(stack, seen.containers, merge(observed.proxy.instances), now)
    return Sight(stack, observed, history, replicas, plan(stack, observed, history, now), now)
