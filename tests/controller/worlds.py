"""A world in memory for tests of the loop, on a clock that the test sets or on the real one."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from metrics.recorder import Recorder
from reconciler.api import VaultService
from reconciler.controller.reconcile.result import Result
from reconciler.controller.reconcile.service import reconcile
from reconciler.controller.reconcile.world import World
from reconciler.controller.report.board import Board
from reconciler.controller.report.journal import Journal
from reconciler.controller.report.stopwatch import Stopwatch
from reconciler.core.assess.capabilities import USUAL, EngineCapabilities
from reconciler.core.desired.stack import Role, Stack
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.engines.memory.machine import Machine, MemoryContainer
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.memory import MemoryProxy
from tests.simulation.services import NAME, Wish, behaviour, build_stack
from tests.simulation.stores import ORIGIN, MemoryObjects, MemoryRecords

BEGINNING = datetime(2026, 5, 1, 12, tzinfo=UTC)


class MemoryWorld:
    """Everything that a pass can see, and the passes themselves. `real`: time passes by itself."""

    def __init__(self, *, real: bool = False, capabilities: EngineCapabilities = USUAL) -> None:
        self.time = 0.0
        self._began = time.monotonic()
        self._real = real
        self.machine = Machine(self.clock, self.now)
        self.engine = MemoryEngine(self.machine, behaviour, capabilities)
        self.proxy = MemoryProxy(self.machine, self.clock)
        self.objects = MemoryObjects()
        self.records = MemoryRecords()
        self.recorder = Recorder()
        self.world = World(
            objects=self.objects,
            records=self.records,
            engine=self.engine,
            proxy=self.proxy,
            build=self.build,
            rebuild=self.build,
            journal=Journal(self.records, self.recorder),
            board=Board(Stopwatch(self.recorder), FRONT),
            now=self.now,
            clock=self.clock,
        )

    def clock(self) -> float:
        return time.monotonic() - self._began if self._real else self.time

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.clock())

    def build(self, service: VaultService) -> Stack:
        return build_stack(service)

    def wish(self, **fields: Any) -> Stack:
        """Store a wish, and return the stack that it comes to."""
        stored = self.objects.apply(Wish(**{"plugin": "web", **fields}).service(), ORIGIN)
        return build_stack(stored.resource)

    def once(self) -> Result:
        """One pass."""
        return reconcile(NAME, self.world)

    def converge(self, passes: int = 300) -> Result:
        """Passes, with time between them, until one finds nothing to do."""
        for _ in range(passes):
            result = self.once()
            if result.converged or result.gone:
                return result
            self.time += 0.5
        raise AssertionError(f"not converged: {result.did}\n{self.objects.status(NAME)}")

    def is_rejected(self, stack: Stack) -> bool:
        """Whether the newest rollout was towards this stack and was rolled back."""
        newest = self.records.newest(NAME)
        return newest is not None and (newest.revision, newest.result) == (stack.revision, "RolledBack")

    def web(self) -> list[MemoryContainer]:
        """The web replicas there are."""
        return [c for c in self.machine.containers.values() if c.role is Role.WEB]
