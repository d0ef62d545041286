"""The replicas of one service in the pools of a real gateway: what the proxy in memory does not model. The rest is in
tests/contracts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.core.assess.observation import (
    Container,
    Health,
    ProxyObservation,
    Server,
    State,
)
from reconciler.core.assess.pool import Member, merge
from reconciler.core.desired.stack import Probe, ProxySettings, Role, Stack, Strategy, Workload
from reconciler.core.routes.routed import Grant, Routed
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.events import ServerEvents
from reconciler.proxy.haproxy.gateway.directory import read_gateway, write_slots
from reconciler.proxy.haproxy.gateway.pool_file import head
from reconciler.proxy.haproxy.gateway.servers import GatewayServers
from reconciler.proxy.haproxy.gateway.transactions import read_map
from reconciler.proxy.haproxy.runtime import Runtime
from tests.contracts.gateways import PoolsInMemory
from tests.proxy.conftest import until
from tests.proxy.haproxy.gateway.conftest import HEALTH, SPEC, SSH, GatewayWorld

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker

PLAIN: dict[str, Any] = {"hostnames": ["a.test"]}
STICKY: dict[str, Any] = {"hostnames": ["a.test"], "path": "/cart", "stripPath": True, "sticky": "cookie"}
RAW = TcpRoute(port=SSH, target=8000)
GATEWAY = "main"


@dataclass
class Service:
    """One service of a gateway, as its pass sees it."""

    world: GatewayWorld
    proxy: GatewayServers
    stack: Stack

    def route(self, *routes: dict[str, Any] | TcpRoute) -> None:
        """Make these its routes, for the gateway as well; the pools have no servers."""
        self.world.serve(*routes)
        grants = (
            Grant(GATEWAY, each if isinstance(each, TcpRoute) else Route.model_validate(each, by_alias=True))
            for each in routes
        )
        self.stack = replace(self.stack, routed=Routed(tuple(grants)))

    def observe(self, *containers: Container) -> ProxyObservation:
        return self.proxy.observe(self.stack, containers)

    @property
    def slots(self) -> list[int]:
        return [each.slot for each in self.observe().instances if each.answering and each.slot is not None]

    def members(self) -> dict[str, Member]:
        return dict(merge(self.observe().instances))

    def configure(self, *replicas: Replica) -> None:
        self.proxy.configure(self.stack, [(each.name, each.address) for each in replicas])

    def add(self, *replicas: Replica) -> None:
        """Take replicas into service as a pass does: written first."""
        self.configure(*replicas)
        new = [NewServer(each.name, each.address, trusted=True) for each in replicas]
        self.proxy.add_servers(self.stack, self.slots, new)
        until(lambda: all(self.members()[each.name].up for each in replicas))

    def pools(self, slot: int = 1) -> dict[str, dict[str, Server]]:
        """The servers that HAProxy itself has, by pool."""
        return {
            pool: {s.name: s for s in Runtime(self.world.master(slot), pool).processes()[0].servers}
            for pool in self.world.held.values()
        }


@pytest.fixture
def service(world: GatewayWorld) -> Iterator[Service]:
    world.write(SPEC)
    world.serve()
    events = ServerEvents()
    proxy = GatewayServers(lambda: {GATEWAY: world.site}, time.monotonic, events)
    web = Workload("web", Role.WEB, 1, "web:1", "r", frozenset({"r"}), frozenset(), port=8000)
    stack = Stack(
        name="s",
        project="vault-s",
        published=0,
        site=world.site,
        document={},
        workloads=(web,),
        proxy=ProxySettings("web", HEALTH, hold_seconds=5.0, drain_seconds=10.0),
        strategy=Strategy("RollingUpdate", 1, 0, 0.0, 120.0, 10.0, auto_rollback=True),
        routed=Routed(),
    )
    made = Service(world, proxy, stack)
    write_slots(world.site, [1])
    world.start(1)
    yield made
    events.close()


def test_each_pool_has_its_protocol_and_its_cookie(service: Service, replicas: dict[str, Replica]) -> None:
    service.route(PLAIN, STICKY, RAW)
    service.add(replicas["one"], replicas["two"])
    for path in ("/", "/cart"):
        assert service.world.get("a.test", path).status == 200
    assert service.world.get("any.test", "/", port=SSH).status == 200
    assert "vault-s001=" in service.world.get("a.test", "/cart").headers["set-cookie"]


def test_another_pool_is_written_and_waited_for(service: Service) -> None:
    service.route(PLAIN)
    service.configure()
    assert service.observe().awaited == ""
    more = Grant(GATEWAY, Route.model_validate(STICKY, by_alias=True))
    assert service.stack.routed is not None
    both = replace(service.stack, routed=Routed((*service.stack.routed.grants, more)))
    assert service.proxy.observe(both, []).awaited == "gateway main has no pool for some of its routes yet"

    service.route(PLAIN, STICKY)
    spare = service.world.site.config / "pools" / "s001.cfg"
    spare.write_text(head("s001"))
    # As many servers as in the other one: none.
    assert service.observe().written is None
    service.configure()
    assert service.observe().written == service.observe().expected


def test_settings_are_in_the_maps_before_the_first_check(
    service: Service, replicas: dict[str, Replica]
) -> None:
    service.route(PLAIN)
    (pool,) = service.world.held.values()
    former = service.observe().expected
    probe = Probe("/healthz?x=1;y", "app.test", 0.5)
    service.stack = replace(service.stack, proxy=replace(service.stack.proxy, health=probe, hold_seconds=7.5))
    assert service.observe().expected != former
    assert service.observe().written == former

    service.configure(replicas["one"])
    told = {
        name: read_map(service.world.master(), name)[pool] for name in ("check-path", "check-host", "hold")
    }
    assert told == {"check-path": "/healthz?x=1;y", "check-host": "app.test", "hold": "7500"}
    service.configure(replicas["one"])
    assert read_map(service.world.master(), "check-path") == {pool: "/healthz?x=1;y"}
    said = read_gateway(service.world.site).settings[pool]
    assert (said.health, said.hold_seconds) == (probe, 7.5)


def test_another_port_of_the_same_replicas(service: Service, replicas: dict[str, Replica]) -> None:
    one = replicas["one"]
    service.route(PLAIN | {"port": 8000})
    host = one.address.partition(":")[0]
    new = NewServer("0123456789ab", f"{host}:7000", trusted=True)
    replica = Container(
        "0123456789ab" + "0" * 52, "web-1", "web", Role.WEB, "r", State.RUNNING, Health.HEALTHY,
        datetime.now(UTC), port=7000,
    )  # fmt: skip
    service.proxy.configure(service.stack, [(new.name, new.address)])
    service.proxy.add_servers(service.stack, [1], [new])

    assert {each["0123456789ab"].address for each in service.pools().values()} == {f"{host}:8000"}
    assert service.world.get("a.test").status == 200
    # The plan knows the port of the service, which the replica was created with.
    observed = service.observe(replica)
    assert observed.configured == {new.name: new.address}
    assert merge(observed.instances)[new.name].addresses == {new.address}


def test_events_wake_the_service_of_the_pool(service: Service, replicas: dict[str, Replica]) -> None:
    names = service.proxy.events()
    service.route(PLAIN)
    service.add(replicas["one"])
    heard: list[str] = []
    threading.Thread(target=lambda: heard.append(next(names)), daemon=True).start()
    dead = replace(replicas["one"], name="dead", address="127.0.0.1:9")
    service.proxy.add_servers(service.stack, [1], [NewServer("dead", dead.address, trusted=True)])
    until(lambda: heard == ["s"])


def test_a_service_whose_routes_only_redirect_is_closed(service: Service) -> None:
    redirect = Route.model_validate(PLAIN | {"redirect": {"hostname": "b.test"}}, by_alias=True)
    moved = replace(service.stack, routed=Routed((Grant(GATEWAY, redirect),)))
    assert "only redirect" in service.proxy.closed(moved)


def test_one_that_is_silent_keeps_no_gateway_from_its_files(tmp_path: Path) -> None:
    """A service that moves to another gateway is still in the former one, which may not answer for long."""
    world = PoolsInMemory(tmp_path)
    world.route(PLAIN)
    other = replace(world.site, directory=tmp_path / "other")
    world.files.write_routes(other, world.held, {})
    proxy = GatewayServers(
        lambda: {GATEWAY: world.site, "other": other}, lambda: world.time, world.events, world.files, world.at
    )
    routed = Routed((Grant("other", Route.model_validate(PLAIN, by_alias=True)),))
    world.signal(1, "STOP")
    with pytest.raises(ProxyError, match="did not answer in time"):
        proxy.configure(replace(world.stack, routed=routed), [("one", world.one.address)])
    (said,) = world.files.read_pools(other, ["h001"]).values()
    assert said is not None
    assert [server.name for server in said.servers] == ["one"]
