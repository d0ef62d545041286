"""Many services on many nodes, in memory: what a controller needs for them, at rest and when nodes fail.

    .venv/bin/python -m benchmarks nodes

Passes are the real ones; engine and proxies are those in memory. What they would ask of Swarm is counted: the requests
that engines/swarm makes for the same calls. The list of all tasks, by which changes are noticed, is measured with rows of
the size that Docker gives them.
"""

from __future__ import annotations

import heapq
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.harness import page
from benchmarks.harness.lab import Lab
from benchmarks.harness.row import BARE, MEGABYTES, SECONDS, Row
from benchmarks.harness.swarm_task import swarm_task
from metrics.recorder import Recorder
from reconciler.api import VaultService
from reconciler.api.errors import VaultError
from reconciler.controller.reconcile.service import reconcile
from reconciler.controller.reconcile.world import World
from reconciler.controller.report.board import Board
from reconciler.controller.report.journal import Journal
from reconciler.controller.report.stopwatch import Stopwatch
from reconciler.core.assess.capabilities import EngineCapabilities
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Role, Site, Stack
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.engines.memory.machine import Machine
from reconciler.engines.swarm.front import FRONT_ROLES
from reconciler.engines.swarm.watch import states
from reconciler.proxy.haproxy.front import FRONT
from reconciler.proxy.memory import MemoryProxy
from tests.simulation.stores import ORIGIN, MemoryObjects, MemoryRecords
from vault_plugins.whoami.plugin import WhoamiPlugin

NODES: Final = 50
SERVICES: Final = 1000
REPLICAS: Final = 10
FAILED: Final = 2
"""Nodes that fail at the same moment: their instances are 1 in 25."""
BEGINNING: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
LONGEST: Final = 900.0
"""Seconds of the machine's own time within which all has to be as it was."""
BOOT: Final = 2.0
"""Seconds until an instance in memory is ready."""
ROUNDS: Final = 3
MEGABYTE: Final = 1 << 20

REQUESTS: Final = {"observe": 3, "create": 3, "start": 0, "stop": 1, "remove": 0}
"""Of a call to Swarm: services, tasks and nodes are listed to observe, services, nodes and networks to create."""
REQUESTS_OF_EACH: Final = {"create": 1, "start": 8, "stop": 2, "remove": 2}
"""Of each instance that the call is about."""


class Counted:
    """An engine whose calls are counted, as the requests that they are to Swarm."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self.requests: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        return partial(self._count, name, found) if name in REQUESTS else found

    def _count(self, name: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        about = self._about(name, arguments)
        if about or name == "observe":
            self.requests[name] += REQUESTS[name] + REQUESTS_OF_EACH.get(name, 0) * about
        return call(*arguments, **named)

    def _about(self, name: str, arguments: tuple[Any, ...]) -> int:
        """How many instances of Swarm a call is about; the front door is no part of it."""
        if name == "create":
            stack, requests = arguments
            front = {workload.name for workload in stack.of(*FRONT_ROLES)}
            return sum(each.count for each in requests if each.workload not in front)
        if name in REQUESTS_OF_EACH:
            there = self._engine.machine.containers
            return sum(each in there and there[each].role not in FRONT_ROLES for each in arguments[0])
        return 0


class Town:
    """So many services on so many nodes, and a controller whose passes come when they are due."""

    def __init__(self, nodes: int, services: int, replicas: int) -> None:
        self._time = 0.0
        self.passes = 0
        self._due: list[tuple[float, str]] = []
        self._woken: set[str] = set()
        self.machine = Machine(self.clock, self.now)
        self.engine = MemoryEngine(self.machine, capabilities=EngineCapabilities(one_node=False))
        for number in range(nodes):
            self.engine.nodes.add(f"node{number:02}")
        self.counted = Counted(self.engine)
        self._objects, self._records, recorder = MemoryObjects(), MemoryRecords(), Recorder()
        self._stacks: dict[str, Stack] = {}
        self._world = World(
            objects=self._objects,
            records=self._records,
            engine=self.counted,
            proxy=MemoryProxy(self.machine, self.clock),
            build=self._build,
            rebuild=self._build,
            journal=Journal(self._records, recorder),
            board=Board(Stopwatch(recorder), FRONT),
            now=self.now,
            clock=self.clock,
        )
        self.names = [
            self._objects.apply(_service(number, replicas), ORIGIN).resource.name
            for number in range(services)
        ]
        self._woken = set(self.names)
        self.machine.subscribe(self._tell)

    def clock(self) -> float:
        """Seconds of the machine."""
        return self._time

    def now(self) -> datetime:
        """The wall clock."""
        return BEGINNING + timedelta(seconds=self._time)

    def live(self, seconds: float) -> bool:
        """Let time go on, with the passes that are due, until all services have converged: whether that was in time."""
        busy, end = set(self._woken), self._time + seconds
        while self._time < end:
            while self._due and self._due[0][0] <= self._time:
                self._woken.add(heapq.heappop(self._due)[1])
            woken, self._woken = sorted(self._woken), set()
            for name in woken:
                if self._pass(name):
                    busy.discard(name)
                else:
                    busy.add(name)
            if not busy and not self._woken:
                return True
            self._time += 0.5
            self.machine.settle()
        return False

    def _tell(self, name: str) -> None:
        """The engine's event; when a container is ready, it tells of that as well."""
        self._woken.add(name)
        heapq.heappush(self._due, (self._time + BOOT, name))

    def _pass(self, name: str) -> bool:
        self.passes += 1
        try:
            result = reconcile(name, self._world)
        except VaultError:
            heapq.heappush(self._due, (self._time + 1.0, name))
            return False
        if result.requeue_after is not None:
            heapq.heappush(self._due, (self._time + result.requeue_after, name))
        return result.converged

    def pass_over_all(self) -> None:
        """One pass over each service."""
        for name in self.names:
            self._pass(name)

    def _build(self, service: VaultService) -> Stack:
        if service.name not in self._stacks:
            site = Site(Path("/state/services") / service.name, 99, 99)
            self._stacks[service.name] = build(service, WhoamiPlugin(), site, front=FRONT)
        return self._stacks[service.name]


def rows(lab: Lab) -> Iterator[Row]:
    """What a controller of a large Swarm needs."""
    what = f"{NODES} nodes, {SERVICES:,} services, {SERVICES * REPLICAS:,} instances"
    before = psutil.Process().memory_info().rss
    town = Town(NODES, SERVICES, REPLICAS)
    if not town.live(LONGEST):
        raise RuntimeError("the services do not converge in memory")
    instances = sum(c.role is Role.WEB for c in town.machine.containers.values())
    if instances != SERVICES * REPLICAS:
        raise RuntimeError(f"{instances} instances are there")
    samples = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        town.pass_over_all()
        samples.append(SERVICES / (time.perf_counter() - began))
    yield Row(
        f"{what}: passes a second, nothing to do", BARE, tuple(samples), "one processor; no request is made"
    )
    used = (psutil.Process().memory_info().rss - before) / MEGABYTE
    note = "with the engine and the proxies in memory, and the history"
    yield Row(f"{what}: memory", MEGABYTES, (used,), "", note=note)
    yield from _failure(town, what)
    yield from _looking(what)


def _failure(town: Town, what: str) -> Iterator[Row]:
    """Nodes fail, and come back when all that was there runs elsewhere."""
    lost = [node.name for node in town.engine.nodes.all()[1 : 1 + FAILED]]
    began, passes, moment = time.perf_counter(), town.passes, town.clock()
    town.counted.requests.clear()
    for name in lost:
        town.engine.nodes.lose(name)
    if not town.live(LONGEST):
        raise RuntimeError("the services do not recover in memory")
    seconds, told = time.perf_counter() - began, town.clock() - moment
    limit = "18 s until Swarm starts tasks elsewhere, 2 s boot"
    case = f"{what}: {FAILED} nodes fail"
    yield Row(f"{case}: until all is well, in the machine's time", SECONDS, (told,), limit)
    yield Row(f"{case}: processor time", SECONDS, (seconds,), "one processor")
    yield Row(f"{case}: passes", BARE, (float(town.passes - passes),), "")
    requests = sum(town.counted.requests.values())
    note = f"as engines/swarm makes them; {requests / told:.0f} a second of the machine's time"
    yield Row(f"{case}: requests to Swarm", BARE, (float(requests),), "", note=note)


def _looking(what: str) -> Iterator[Row]:
    """The list of all tasks, which is asked for each second: Swarm has no events of tasks."""
    text = json.dumps(
        [swarm_task(number, number // REPLICAS, NODES) for number in range(SERVICES * REPLICAS)]
    )
    samples = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        states(json.loads(text))
        samples.append(time.perf_counter() - began)
    note = f"{len(text) / MEGABYTE:.0f} MB of JSON, each second"
    yield Row(f"{what}: reading the list of tasks", SECONDS, tuple(samples), "one processor", note=note)


def _service(number: int, replicas: int) -> VaultService:
    spec = {"plugin": "whoami", "replicas": replicas, "ports": {"http": 10000 + number}}
    spec |= {"strategy": {"rollingUpdate": {"maxSurge": "100%"}}}
    return VaultService.model_validate({"metadata": {"name": f"service-{number:04}"}, "spec": spec})


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
