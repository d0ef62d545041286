"""Passes over a service with routes: what it waits for, what its conditions say, and how it is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import Status, VaultService, find_condition
from reconciler.api.vaultgateway import GatewaySpec
from reconciler.controller.reconcile.login_files import read_login_files
from reconciler.controller.reconcile.result import Result
from reconciler.controller.reconcile.service import (
    GATEWAY_LOOK,
    WITHDRAWAL_LOOK,
    reconcile,
)
from reconciler.controller.report.verdict import Verdict, summarize
from reconciler.core.assess.observation import (
    Admin,
    Container,
    ProxyInstance,
    ProxyObservation,
    ProxyWorker,
    Server,
)
from reconciler.core.desired.stack import Stack
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.guards import login_files
from reconciler.core.routes.routed import routed_of
from reconciler.core.routes.table import settle
from reconciler.proxy.base import NewServer
from reconciler.proxy.memory import MemoryProxy
from tests.controller.worlds import BEGINNING, MemoryWorld
from tests.simulation.services import GATEWAY, NAME, build_stack

OLDER = Claimant("elder", datetime.min.replace(tzinfo=BEGINNING.tzinfo))
SLOT = 3


class GatewayProxy(MemoryProxy):
    """A gateway's only HAProxy; `waits` is why it has no pool for the service, `sessions` are those of all its servers."""

    waits = ""
    awaited = ""
    sessions = 0
    withdrawn: list[bool]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.named: dict[str, str] | None = None
        self.servers: dict[str, Server] = {}
        self.withdrawn = []

    def closed(self, stack: Stack) -> str:
        return self.waits

    def withdraw(self, name: str, *, force: bool) -> int:
        self.withdrawn.append(force)
        return 0 if force else self.sessions

    def observe(self, stack: Stack, containers: Sequence[Container]) -> ProxyObservation:
        servers = (each._replace(sessions=self.sessions) for each in self.servers.values())
        instance = ProxyInstance("edge", True, "s", (ProxyWorker(1, True, tuple(servers)),), slot=SLOT)
        written = "s" if self.named is not None else None
        return ProxyObservation("s", written, self.named or {}, (instance,), awaited=self.awaited)

    def configure(
        self, stack: Stack, servers: Sequence[tuple[str, str]], weights: Sequence[tuple[str, int]] = ()
    ) -> None:
        self.named = dict(servers)

    def add_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[NewServer]) -> None:
        assert list(slots) == [SLOT]
        for each in servers:
            self.servers[each.name] = Server(each.name, each.address, Admin.READY, True, 0, 9.0)

    def drain_servers(self, stack: Stack, slots: Sequence[int], servers: Sequence[str]) -> None:
        for name in servers:
            self.servers[name] = self.servers[name]._replace(admin=Admin.DRAIN)

    def delete_servers(
        self, stack: Stack, slots: Sequence[int], servers: Sequence[str], *, force: bool
    ) -> None:
        for name in servers:
            del self.servers[name]


class RoutedWorld(MemoryWorld):
    """A world with one service that has a route. `others` are services that were there before, `gateways` all gateways."""

    def __init__(self) -> None:
        super().__init__()
        self.gateways = {GATEWAY: GatewaySpec()}
        self.others: list[Claimant] = []
        self.told: list[tuple[str, str]] = []
        self.shared = GatewayProxy(self.machine, self.clock)
        self.world = replace(self.world, proxy=self.shared, build=self.build)
        self.records.record_event = self._told  # type: ignore[method-assign]

    def _told(self, name: str, type_: str, reason: str, *_: Any, **__: Any) -> None:
        self.told.append((type_, str(reason)))

    def build(self, service: VaultService) -> Stack:
        stack = build_stack(service)
        if stack.routed is None:
            return stack
        mine = Claimant(service.name, BEGINNING, service.spec.all_routes, service.spec.tcp)
        tables, refusals = settle(self.gateways, [*self.others, mine])
        files = read_login_files(file for table in tables.values() for file in login_files(table))
        return replace(stack, routed=routed_of(service.name, tables, refusals, files=files))

    @property
    def status(self) -> Status:
        found = self.objects.status(NAME)
        assert isinstance(found, Status)
        return found

    def condition(self, kind: str) -> tuple[str, str]:
        found = find_condition(self.status.conditions, kind)  # type: ignore[arg-type]
        return ("", "") if found is None else (found.status, found.reason)

    def verdict(self) -> tuple[Verdict, str]:
        stored = self.objects.get(NAME)
        assert stored is not None
        made = summarize(stored, self.status)
        return made.verdict, made.reason

    def take(self, path: str = "/") -> None:
        """An older service has this path already."""
        stored = self.objects.get(NAME)
        assert stored is not None
        (route,) = stored.resource.spec.all_routes
        self.others = [replace(OLDER, routes=(route.model_copy(update={"path": path}),))]


@pytest.fixture
def routed() -> RoutedWorld:
    world = RoutedWorld()
    world.wish(routed=True, replicas=2)
    return world


def test_it_comes_true_without_a_front_door_of_its_own(routed: RoutedWorld) -> None:
    assert routed.converge().converged
    assert {c.role.value for c in routed.machine.containers.values()} == {"web"}
    assert len(routed.shared.servers) == 2
    assert routed.condition("Ready") == ("True", "Serving")
    assert routed.condition("Accepted") == ("True", "Accepted")
    routed.wish(routed=True, replicas=2, version="2")
    before = set(routed.shared.servers)
    routed.converge()
    assert before.isdisjoint(routed.shared.servers)


def test_nothing_is_started_without_a_pool(routed: RoutedWorld) -> None:
    routed.shared.waits = "waits for gateway edge to give it a pool"
    assert routed.once() == Result(requeue_after=GATEWAY_LOOK)
    assert not routed.machine.containers
    assert routed.condition("Ready") == ("False", "WaitingForGateway")
    assert routed.condition("Accepted") == ("True", "Accepted")
    assert routed.verdict() == (Verdict.MOVING, "WaitingForGateway")
    # The time in which a rollout has to get somewhere begins when it may.
    routed.time += 10_000
    routed.once()
    routed.shared.waits = ""
    assert routed.converge().converged


def test_a_conflict_is_for_a_person(routed: RoutedWorld) -> None:
    routed.take()
    for _ in range(3):
        assert routed.once() == Result(requeue_after=GATEWAY_LOOK)
    assert not routed.machine.containers
    assert routed.condition("Ready") == routed.condition("Accepted") == ("False", "Conflicted")
    assert routed.verdict() == (Verdict.FAILED, "Conflicted")
    ready = find_condition(routed.status.conditions, "Ready")
    assert ready is not None
    assert "belongs to elder, which is older" in ready.message
    assert routed.told == [("Warning", "Conflicted")]
    routed.others = []
    assert routed.converge().converged
    assert routed.verdict()[0] is Verdict.READY


def test_a_gateway_that_does_not_exist_may_come(routed: RoutedWorld) -> None:
    gateways, routed.gateways = routed.gateways, {}
    routed.once()
    assert routed.condition("Ready") == ("False", "NoGateway")
    assert routed.verdict() == (Verdict.MOVING, "NoGateway")
    routed.gateways = gateways
    assert routed.converge().converged


def test_a_service_serves_with_the_routes_that_it_has(routed: RoutedWorld) -> None:
    stored = routed.objects.get(NAME)
    assert stored is not None
    (route,) = stored.resource.spec.all_routes
    spec = stored.resource.spec.model_copy(
        update={"route": route.model_copy(update={"hostnames": ("files.test", "taken.test")})}
    )
    routed.others = [replace(OLDER, routes=(route.model_copy(update={"hostnames": ("taken.test",)}),))]
    routed.objects.apply(stored.resource.model_copy(update={"spec": spec}), stored.origin)
    assert routed.converge().converged
    assert routed.condition("Ready") == ("True", "Serving")
    assert routed.condition("Accepted") == ("False", "Conflicted")
    assert ("Warning", "Conflicted") in routed.told
    assert routed.told.count(("Warning", "Conflicted")) == 1


def test_a_pool_that_is_lost_leaves_what_runs_alone(routed: RoutedWorld) -> None:
    routed.converge()
    running = {c.id for c in routed.machine.containers.values() if c.is_up}
    routed.gateways = {}
    routed.wish(routed=True, replicas=2, version="2")
    routed.once()
    assert {c.id for c in routed.machine.containers.values() if c.is_up} == running


def test_ready_waits_until_requests_are_led_to_it(routed: RoutedWorld) -> None:
    routed.shared.awaited = "gateway edge does not lead requests to pool h001 yet"
    for _ in range(20):
        routed.once()
        routed.time += 1
    assert len(routed.shared.servers) == 2
    assert routed.condition("Ready") == ("False", "Progressing")
    routed.shared.awaited = ""
    assert routed.converge().converged


def test_logins_that_cannot_be_used_are_said(routed: RoutedWorld, tmp_path: Path) -> None:
    file = tmp_path / "users.htpasswd"
    stored = routed.objects.get(NAME)
    assert stored is not None
    document = stored.resource.to_document()
    document["spec"]["route"]["auth"] = {"basic": {"file": str(file)}}
    routed.objects.apply(VaultService.model_validate(document), stored.origin)
    assert routed.converge().converged
    assert routed.condition("Accepted") == ("False", "LoginsUnusable")
    file.write_text("ada:$6$salt$" + "x" * 86)
    routed.time += 1
    assert routed.converge().converged
    assert routed.condition("Accepted") == ("True", "Accepted")


def test_a_deleted_one_leaves_the_pools_before_its_containers_stop(routed: RoutedWorld) -> None:
    routed.converge()
    routed.shared.sessions = 1
    routed.objects.request_deletion(NAME, False, routed.now())
    assert routed.once() == Result(requeue_after=WITHDRAWAL_LOOK)
    assert all(c.is_up for c in routed.machine.containers.values())
    routed.time += 10
    assert reconcile(NAME, routed.world) == Result(requeue_after=WITHDRAWAL_LOOK)
    routed.time += 21
    assert routed.once().gone
    assert routed.shared.withdrawn == [False, False, True]
    assert not routed.machine.containers


def test_a_service_that_loses_its_routes_loses_the_condition(routed: RoutedWorld) -> None:
    routed.shared.waits = "waits"
    routed.once()
    assert routed.condition("Accepted")[0] == "True"
    routed.world = replace(routed.world, proxy=routed.proxy)
    routed.wish(replicas=2)
    assert routed.converge().converged
    assert routed.condition("Accepted") == ("", "")
