"""A proxy that is no container of the stack, as a front door that many services share: the core, the engines and the plan
need nothing of HAProxy's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.api import VaultService
from reconciler.core.assess.assessment import Assessment, assess
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.diff import diff
from reconciler.core.assess.history import History
from reconciler.core.assess.observation import (
    Admin,
    Observation,
    ProxyInstance,
    ProxyObservation,
    ProxyWorker,
    Server,
)
from reconciler.core.compose.fragment import BuildError
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Role, Site, Stack, Workload
from reconciler.core.desired.workloads import Part, labelled
from reconciler.core.plan.front import FrontStep, ProxyCapabilities
from reconciler.core.plan.operations import (
    AddServer,
    ConfigureProxy,
    CreateReplicas,
    DeleteServer,
    DrainServer,
    Operation,
    Plan,
    RemoveContainer,
    StartContainer,
    Step,
    StopContainer,
)
from reconciler.core.plan.planner import plan
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.engines.memory.machine import Machine
from tests.simulation.services import PLUGINS, SITE, Wish

SLOT = 7
BEGINNING = datetime(2026, 5, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Elsewhere:
    """The front door of stacks whose proxy belongs to another one."""

    capabilities: ProxyCapabilities = field(default_factory=ProxyCapabilities)
    user: int = 1234
    redispatch: float = 3.0

    def patience(self, hold_seconds: float) -> float:
        return hold_seconds

    def parts(self, service: VaultService, site: Site, bind: str, key: bytes) -> tuple[Part, ...]:
        return ()

    def steps(
        self, assessment: Assessment, servers: Mapping[str, str], weights: Mapping[str, int]
    ) -> FrontStep:
        if dict(assessment.observed.proxy.configured) == dict(servers):
            return FrontStep(Step())
        named = tuple(sorted(servers.items()))
        return FrontStep(Step((ConfigureProxy(servers=named, file="pool.cfg", cause=Cause.STALE),)))

    def exporters(self, stack: Stack, observed: Observation) -> tuple[tuple[int, str], ...]:
        return ()


class Shared:
    """A machine with one service, and a proxy that is somewhere else."""

    def __init__(self, **wish: object) -> None:
        self.time = 0.0
        self.machine = Machine(lambda: self.time, self.now)
        self.engine = MemoryEngine(self.machine)
        self.configured: dict[str, str] = {}
        self.servers: dict[str, Server] = {}
        self.answers = True
        self.told: list[str] = []
        self.wish(**wish)

    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self.time)

    def wish(self, **fields: object) -> None:
        service = Wish(**{"plugin": "web", "replicas": 2, **fields}).service()  # type: ignore[arg-type]
        self.stack = build(service, PLUGINS[service.spec.plugin], SITE, front=Elsewhere())

    def assessment(self) -> Assessment:
        workers = (ProxyWorker(1, current=True, servers=tuple(self.servers.values())),)
        instance = ProxyInstance("of another stack", self.answers, "s", workers, slot=SLOT)
        if not self.answers:
            instance = replace(instance, workers=(), silent=1.0)
        proxy = ProxyObservation(
            "s", "s", dict(self.configured), (instance,), name="gateway edge", file="pool.cfg"
        )
        return assess(self.stack, Observation(self.engine.observe(self.stack), proxy), self.now())

    def plan(self) -> Plan:
        return plan(self.assessment(), History(), Elsewhere())

    def once(self) -> Plan:
        planned = self.plan()
        for operation in planned.operations:
            self.told.append(operation.sentence)
            self._carry_out(operation)
        self.time += 1.0
        return planned

    def settle(self) -> None:
        for _ in range(60):
            planned = self.once()
            if not (planned.operations or planned.waiting):
                return
        raise AssertionError(planned)

    def _carry_out(self, operation: Operation) -> None:
        match operation:
            case ConfigureProxy(servers=servers):
                self.configured = dict(servers)
            case AddServer(server=name, slots=slots, address=address):
                assert slots == (SLOT,)
                self.servers[name] = Server(name, address, Admin.READY, up=True, sessions=0, since=0.0)
            case DrainServer(server=name):
                self.servers[name] = self.servers[name]._replace(admin=Admin.DRAIN)
            case DeleteServer(server=name):
                del self.servers[name]
            case CreateReplicas():
                self.engine.create(self.stack, (operation,))
            case StartContainer(container=container):
                self.engine.start((container,))
            case StopContainer(container=container, grace=grace):
                self.engine.stop((container,), grace)
            case RemoveContainer(container=container):
                self.engine.remove((container,))
            case other:
                raise AssertionError(f"{other} is not for such a proxy")


def test_a_stack_without_a_proxy_of_its_own_converges_and_rolls() -> None:
    shared = Shared()
    assert {workload.role for workload in shared.stack.workloads} == {Role.WEB}
    shared.settle()
    assert len(shared.servers) == 2
    assert diff(shared.assessment()) == ()
    before = set(shared.servers)

    shared.wish(version="2")
    shared.settle()
    assert len(shared.servers) == 2
    assert before.isdisjoint(shared.servers)
    assert diff(shared.assessment()) == ()
    assert "write pool.cfg with 2 servers" in shared.told


def test_one_that_does_not_answer_keeps_what_it_may_use() -> None:
    shared = Shared()
    shared.settle()
    shared.answers = False
    shared.wish(version="2")
    assert shared.assessment().silent == ("of another stack",)
    for _ in range(20):
        shared.once()
    assert not any(sentence.startswith("stop") for sentence in shared.told)


def test_differences_are_in_the_words_of_the_proxy() -> None:
    shared = Shared()
    shared.settle()
    shared.configured["stranger"] = "10.0.0.9:1"
    (difference,) = diff(shared.assessment())
    assert str(difference).startswith("pool.cfg: names server stranger")


def test_a_part_of_the_front_door_keeps_its_name() -> None:
    @dataclass(frozen=True)
    class Named(Elsewhere):
        def parts(self, service: VaultService, site: Site, bind: str, key: bytes) -> tuple[Part, ...]:
            name, image = "web", "proxy:1"
            workload = Workload(name, Role.PROXY, 1, image, "v1-a", frozenset({"v1-a"}), frozenset())
            return (labelled(service.name, workload, {"image": image}),)

    service = Wish("web").service()
    with pytest.raises(BuildError, match="service 'web' belongs to the base stack; give it another name"):
        build(service, PLUGINS["web"], SITE, front=Named())
