"""The replicas of one service in the pools of a real gateway: several pools, silent slots, and workers that leave."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.core.assess.observation import (
    Admin,
    Container,
    Health,
    ProxyInstance,
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
from reconciler.proxy.haproxy.gateway.render import structure
from reconciler.proxy.haproxy.gateway.servers import GatewayServers
from reconciler.proxy.haproxy.gateway.transactions import read_map, replace_map
from reconciler.proxy.haproxy.runtime import Runtime
from tests.proxy.conftest import until
from tests.proxy.haproxy.gateway.conftest import HEALTH, POOLS, SPEC, SSH, GatewayWorld

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

    def start(self, slot: int, *routes: dict[str, Any] | TcpRoute, handover: int | None = None) -> None:
        """Start a HAProxy as the gateway would: the slot is named first."""
        write_slots(self.world.site, [*self.world.containers, slot])
        self.world.start(slot, handover)

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

    def drain(self, replica: Replica) -> None:
        self.proxy.drain_servers(self.stack, self.slots, [replica.name])

    def delete(self, replica: Replica, *, force: bool = False) -> None:
        self.proxy.delete_servers(self.stack, self.slots, [replica.name], force=force)

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
    made.start(1)
    yield made
    events.close()


def test_servers_are_in_every_pool_and_seen_as_in_one(service: Service, replicas: dict[str, Replica]) -> None:
    one, two = replicas["one"], replicas["two"]
    service.route(PLAIN, STICKY, RAW)
    assert len(service.world.held) == 3
    service.add(one, two)

    assert all(set(servers) == {"one", "two"} for servers in service.pools().values())
    observed = service.observe()
    assert observed.written == observed.expected
    assert observed.configured == {"one": one.address, "two": two.address}
    assert (observed.name, observed.awaited) == ("gateway main", "")
    assert observed.file.startswith("pools h001, s001, t001")
    for path in ("/", "/cart"):
        assert service.world.get("a.test", path).status == 200
    assert service.world.get("any.test", "/", port=SSH).status == 200
    assert "vault-s001=" in service.world.get("a.test", "/cart").headers["set-cookie"]

    service.drain(one)
    assert service.members()["one"].draining
    until(lambda: not service.members()["one"].sessions)
    service.delete(one)
    assert all(set(servers) == {"two"} for servers in service.pools().values())
    assert "one" not in service.members()


def test_one_that_one_pool_lacks_is_added_there(service: Service, replicas: dict[str, Replica]) -> None:
    one = replicas["one"]
    service.route(PLAIN, STICKY)
    service.add(one)
    pool = next(iter(service.world.held.values()))
    Runtime(service.world.master(), pool).delete_servers(["one"], force=True)

    member = service.members()["one"]
    assert (member.enabled, member.draining) == (False, False)
    service.add(one)
    assert all("one" in servers for servers in service.pools().values())


def test_files_that_disagree_are_to_be_written(service: Service, replicas: dict[str, Replica]) -> None:
    service.route(PLAIN, STICKY)
    service.add(replicas["one"], replicas["two"])
    whole = service.observe()
    edited = service.world.site.config / "pools" / "h001.cfg"
    lines = edited.read_text().splitlines(keepends=True)
    edited.write_text("".join(lines[:-1]))

    observed = service.observe()
    assert observed.written is None
    assert observed.configured == whole.configured
    service.configure(replicas["one"], replicas["two"])
    written = service.observe()
    assert (written.written, written.configured) == (whole.expected, whole.configured)


def test_a_pool_that_is_spare_is_not_written_yet(service: Service) -> None:
    service.route(PLAIN)
    (pool,) = service.world.held.values()
    (service.world.site.config / "pools" / f"{pool}.cfg").write_text(f"backend {pool} from http-pool\n")

    assert service.observe().written is None
    service.configure()
    observed = service.observe()
    assert (observed.written, observed.configured) == (observed.expected, {})


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


def test_a_slot_that_does_not_answer(service: Service, replicas: dict[str, Replica]) -> None:
    service.route(PLAIN)
    service.add(replicas["one"])
    write_slots(service.world.site, [1, 2])

    answering, silent = service.observe().instances
    assert answering.answering
    assert (silent.answering, silent.slot, silent.container) == (False, 2, "gateway main slot 2")
    until(lambda: _of(service, 2).silent > 0)
    # Nothing listens there, so changes go on with the others.
    service.drain(replicas["one"])
    service.delete(replicas["one"])
    write_slots(service.world.site, [1])
    assert [each.slot for each in service.observe().instances] == [1]


def test_one_that_starts_serves_what_the_file_says(service: Service, replicas: dict[str, Replica]) -> None:
    service.route(PLAIN)
    service.configure(replicas["one"])
    service.start(2, handover=1)
    until(lambda: _of(service, 2).answering)
    assert "one" in service.pools(slot=2)["h001"]
    # The other one was never told.
    assert not service.members()["one"].enabled
    service.add(replicas["one"])
    assert service.members()["one"].up


def _of(service: Service, slot: int) -> ProxyInstance:
    return next(each for each in service.observe().instances if each.slot == slot)


class Stream:
    """A long download; `whole` when it came to its end."""

    def __init__(self, world: GatewayWorld, seconds: float) -> None:
        self._body = b""
        self._thread = threading.Thread(target=self._read, args=(world, seconds), daemon=True)
        self._thread.start()

    def _read(self, world: GatewayWorld, seconds: float) -> None:
        with suppress(http.client.IncompleteRead):
            self._body = world.get("a.test", f"/stream?seconds={seconds}").body

    def whole(self) -> bool:
        self._thread.join(timeout=30)
        return self._body.endswith(b"end\n")


def _has_session(service: Service, name: str) -> Callable[[], bool]:
    return lambda: service.members()[name].sessions > 0


def test_a_server_with_a_session_is_only_deleted_by_force(
    service: Service, replicas: dict[str, Replica]
) -> None:
    service.route(PLAIN, STICKY)
    service.add(replicas["one"])
    stream = Stream(service.world, 3)
    until(_has_session(service, "one"))
    service.drain(replicas["one"])
    with pytest.raises(ProxyError, match="cannot be deleted"):
        service.delete(replicas["one"])
    assert stream.whole()
    until(lambda: not service.members()["one"].sessions)
    service.delete(replicas["one"])

    service.add(replicas["one"])
    cut = Stream(service.world, 20)
    until(_has_session(service, "one"))
    service.delete(replicas["one"], force=True)
    assert not cut.whole()
    assert "one" not in service.members()


def test_a_worker_that_leaves_keeps_its_sessions(service: Service, replicas: dict[str, Replica]) -> None:
    service.route(PLAIN, STICKY)
    service.add(replicas["one"], replicas["two"])
    streams = [Stream(service.world, 4) for _ in range(2)]
    until(lambda: _has_session(service, "one")() and _has_session(service, "two")())
    Runtime(service.world.master(), "routes").reload(structure(SPEC, POOLS))

    workers = _of(service, 1).workers
    assert sorted(worker.current for worker in workers) == [False, True]
    (left,) = (worker for worker in workers if not worker.current)
    assert {server.name: (server.admin, server.sessions > 0) for server in left.servers} == {
        "one": (Admin.DRAIN, True),
        "two": (Admin.DRAIN, True),
    }
    # It serves in the new worker, and still has a session in the old one.
    service.drain(replicas["one"])
    service.delete(replicas["one"])
    member = service.members()["one"]
    assert (member.draining, member.sessions) == (True, 1)
    assert member.since < 4
    assert all(stream.whole() for stream in streams)
    until(lambda: "one" not in service.members())


def test_weights_are_set_in_every_pool(service: Service, replicas: dict[str, Replica]) -> None:
    one, two = replicas["one"], replicas["two"]
    service.route(PLAIN, STICKY)
    service.add(one, two)
    service.proxy.configure(service.stack, [(each.name, each.address) for each in (one, two)], [("two", 9)])
    service.proxy.set_weights(service.stack, service.slots, [("two", 9)])

    assert service.observe().weights == {"two": 9}
    assert service.members()["two"].weights == {9}
    assert {servers["two"].weight for servers in service.pools().values()} == {9}


def test_a_service_without_a_pool_is_closed(service: Service) -> None:
    service.route(PLAIN)
    assert service.proxy.closed(service.stack) == ""
    more = Grant("other", Route.model_validate(STICKY, by_alias=True))
    assert service.stack.routed is not None
    both = replace(service.stack, routed=Routed((*service.stack.routed.grants, more)))
    assert service.proxy.closed(both) == ""
    only = replace(service.stack, routed=Routed((more,)))
    assert service.proxy.closed(only) == "waits for gateway other to give it a pool"
    with pytest.raises(ProxyError, match="waits for gateway other"):
        service.proxy.configure(only, [])
    redirect = Route.model_validate(PLAIN | {"redirect": {"hostname": "b.test"}}, by_alias=True)
    moved = replace(service.stack, routed=Routed((Grant(GATEWAY, redirect),)))
    assert "only redirect" in service.proxy.closed(moved)


def test_requests_that_are_not_led_to_a_pool_yet_are_waited_for(
    service: Service, replicas: dict[str, Replica]
) -> None:
    service.route(PLAIN)
    service.add(replicas["one"])
    replace_map(service.world.master(), "routes", {})
    assert service.observe().awaited == "gateway main does not lead requests to pool h001 yet"


def test_a_deleted_service_leaves_when_its_sessions_have_ended(
    service: Service, replicas: dict[str, Replica]
) -> None:
    service.route(PLAIN, STICKY)
    service.add(replicas["one"], replicas["two"])
    stream = Stream(service.world, 3)
    until(lambda: any(member.sessions for member in service.members().values()))

    assert service.proxy.withdraw("s", force=False) == 1
    assert service.world.get("a.test").status == 503
    assert stream.whole()
    until(lambda: service.proxy.withdraw("s", force=False) == 0)
    assert not any(service.pools().values())
    assert read_gateway(service.world.site).busy == frozenset()
    assert service.proxy.withdraw("another", force=True) == 0


def test_a_deleted_service_leaves_at_last(service: Service, replicas: dict[str, Replica]) -> None:
    service.route(PLAIN)
    service.add(replicas["one"])
    stream = Stream(service.world, 20)
    until(_has_session(service, "one"))
    assert service.proxy.withdraw("s", force=True) == 0
    assert not stream.whole()
    assert not any(service.pools().values())


def test_another_service_is_not_touched(service: Service, replicas: dict[str, Replica]) -> None:
    service.route(PLAIN)
    service.add(replicas["one"])
    other = replace(service.stack, name="t", project="vault-t")
    assert service.proxy.closed(other) == "waits for gateway main to give it a pool"
    assert service.proxy.observe(other, []).instances == ()
    service.proxy.delete_servers(other, [1], ["one"], force=True)
    assert service.members()["one"].up


def test_events_wake_the_service_of_the_pool(service: Service, replicas: dict[str, Replica]) -> None:
    names = service.proxy.events()
    service.route(PLAIN)
    service.add(replicas["one"])
    heard: list[str] = []
    threading.Thread(target=lambda: heard.append(next(names)), daemon=True).start()
    dead = replace(replicas["one"], name="dead", address="127.0.0.1:9")
    service.proxy.add_servers(service.stack, [1], [NewServer("dead", dead.address, trusted=True)])
    until(lambda: heard == ["s"])


def test_a_reload_belongs_to_the_gateway(service: Service) -> None:
    service.route(PLAIN)
    with pytest.raises(ProxyError, match="belongs to a gateway"):
        service.proxy.reload(service.stack, 1)
