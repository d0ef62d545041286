"""The cost of planning and its growth: no engine and no files, only computation.

    .venv/bin/python benchmarks/planning.py

The services are in memory (reconciler/engines/memory) and converged. Each pass builds, observes, assesses, plans and writes
the status, with the same code path as a real one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.harness import page
from benchmarks.harness.lab import Lab
from benchmarks.harness.row import SECONDS, Goal, Row
from metrics.recorder import Recorder
from reconciler.api import VaultService
from reconciler.controller.reconcile.service import reconcile
from reconciler.controller.reconcile.world import World, preview_of
from reconciler.controller.report.board import Board
from reconciler.controller.report.journal import Journal
from reconciler.controller.report.stopwatch import Stopwatch
from reconciler.core.assess.observation import Container, EngineObservation, ProxyObservation
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Role, Site, Stack
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.engines.memory.machine import Machine
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.memory import MemoryProxy
from tests.simulation.stores import ORIGIN, MemoryObjects, MemoryRecords
from vault_plugins.whoami.plugin import WhoamiPlugin

SERVICES: Final = (1, 10, 100, 1000)
REPLICAS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
REPLICAS_OF_EACH: Final = 10
ROUNDS: Final = 5
PASSES_OF_A_ROUND: Final = 20
"""Passes that are timed together, to reduce the effect of clock resolution and garbage collection."""
TO_CONVERGE: Final = 40
BEGINNING: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
GOAL: Final = Goal(at_most=0.001)


class StillEngine(MemoryEngine):
    """Caches its last observation, as the informer of the real engine does without events."""

    def __init__(self, seen: Mapping[str, EngineObservation], machine: Machine) -> None:
        super().__init__(machine)
        self._remembered = seen

    def observe(self, stack: Stack) -> EngineObservation:
        """See Engine.observe."""
        return self._remembered[stack.name]


class StillProxy(MemoryProxy):
    """Likewise."""

    def __init__(self, seen: Mapping[str, ProxyObservation], machine: Machine) -> None:
        super().__init__(machine, machine.clock)
        self._remembered = seen

    def observe(self, stack: Stack, containers: Sequence[Container]) -> ProxyObservation:
        """See Proxy.observe."""
        return self._remembered[stack.name]


class Town:
    """Many converged services without changes."""

    def __init__(self, services: int, replicas: int) -> None:
        self._time = 0.0
        self._recorder, self._objects, self._records = Recorder(), MemoryObjects(), MemoryRecords()
        self.stacks: list[Stack] = []
        engines: dict[str, EngineObservation] = {}
        proxies: dict[str, ProxyObservation] = {}
        for number in range(services):
            stored = self._objects.apply(_service(number, replicas), ORIGIN)
            stack = _build(stored.resource)
            engines[stack.name], proxies[stack.name] = self._converge(stack)
            self.stacks.append(stack)
        nowhere = Machine(self.clock, self.now)
        self._world = self._made_of(StillEngine(engines, nowhere), StillProxy(proxies, nowhere))

    def clock(self) -> float:
        """Seconds."""
        return self._time

    def now(self) -> datetime:
        """The wall clock."""
        return BEGINNING + timedelta(seconds=self._time)

    def plan(self) -> None:
        """Observe every service and plan."""
        world = self._world
        for stack in self.stacks:
            preview_of(stack, world.engine, world.proxy, world.records, world.now())

    def pass_over_all(self) -> None:
        """A whole pass over every service."""
        for stack in self.stacks:
            reconcile(stack.name, self._world)

    def _converge(self, stack: Stack) -> tuple[EngineObservation, ProxyObservation]:
        machine = Machine(self.clock, self.now)
        world = self._made_of(MemoryEngine(machine), MemoryProxy(machine, self.clock))
        for _ in range(TO_CONVERGE):
            if reconcile(stack.name, world).converged:
                seen = world.engine.observe(stack)
                return seen, world.proxy.observe(stack, [c for c in seen.containers if c.role is Role.PROXY])
            self._time += 0.5
        raise SystemExit(f"{stack.name} does not converge in memory")

    def _made_of(self, engine: MemoryEngine, proxy: MemoryProxy) -> World:
        return World(
            objects=self._objects,
            records=self._records,
            engine=engine,
            proxy=proxy,
            build=_build,
            rebuild=_build,
            journal=Journal(self._records, self._recorder),
            board=Board(Stopwatch(self._recorder), FRONT),
            now=self.now,
            clock=self.clock,
        )


def rows(lab: Lab) -> Iterator[Row]:
    """One row for each number of services."""
    for services in SERVICES:
        each = tuple(seconds / services for seconds in _rounds(_town(services, REPLICAS_OF_EACH), Town.plan))
        what = f"planning, {services:,} VaultServices × {REPLICAS_OF_EACH} replicas, each"
        yield Row(what, SECONDS, each, "arithmetic alone; no call is made", goal=GOAL)


def growth() -> dict[str, list[tuple[int, float]]]:
    """Seconds of a pass over one service of so many replicas, and of a pass over each of so many services."""
    one = [(count, min(_rounds(_town(1, count), Town.pass_over_all))) for count in REPLICAS]
    many = [(count, min(_rounds(_town(count, REPLICAS_OF_EACH), Town.pass_over_all))) for count in SERVICES]
    return {"replicas": one, "services": many}


@cache
def _town(services: int, replicas: int) -> Town:
    # A thousand services take a while to converge.
    return Town(services, replicas)


def _rounds(town: Town, work: Callable[[Town], None]) -> Sequence[float]:
    repeat = max(1, PASSES_OF_A_ROUND // len(town.stacks))
    samples = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(repeat):
            work(town)
        samples.append((time.perf_counter() - began) / repeat)
    return samples


def _service(number: int, replicas: int) -> VaultService:
    spec = {"plugin": "whoami", "replicas": replicas, "ports": {"http": 10000 + number}}
    spec |= {"strategy": {"rollingUpdate": {"maxSurge": "100%"}}}
    return VaultService.model_validate({"metadata": {"name": f"service-{number:04}"}, "spec": spec})


def _build(service: VaultService) -> Stack:
    return build(service, WhoamiPlugin(), Site(Path("/state/services") / service.name, 99, 99), front=FRONT)


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
