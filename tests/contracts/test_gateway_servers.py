"""What the pools of a service in a gateway keep: the same tests for real HAProxies, here and on another node, and for
those in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.api.route import Route
from reconciler.core.assess.observation import Admin
from reconciler.core.desired.stack import Probe
from reconciler.core.routes.routed import Grant, Routed
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.gateway.pool_file import PoolServer, PoolSettings
from tests.contracts.gateways import (
    GATEWAY,
    PLAIN,
    RAW,
    SERVICE,
    STICKY,
    PoolsInMemory,
    PoolsWorld,
    RealPools,
)
from tests.contracts.proxies import dead
from tests.contracts.remote import RemotePools

# The real ones are made by the fixtures of tests/proxy.
from tests.proxy.conftest import replica, replicas
from tests.proxy.haproxy.gateway.conftest import HEALTH, POOLS, namespace
from tests.proxy.haproxy.gateway.conftest import world as haproxies
from tests.proxy.remote.agents import agent_in

__all__ = ["haproxies", "namespace", "replica", "replicas"]


@pytest.fixture(
    params=[*(pytest.param(name, marks=pytest.mark.docker) for name in ("haproxy", "remote")), "memory"]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PoolsWorld]:
    with ExitStack() as opened:
        if request.param == "memory":
            made: PoolsWorld = PoolsInMemory(tmp_path)
        else:
            names = ("haproxies", "replicas", "replica")
            real, shared, more = (request.getfixturevalue(name) for name in names)
            if request.param == "haproxy":
                made = RealPools(real, shared, more)
            else:
                agent = opened.enter_context(agent_in(tmp_path / "agent"))
                made = RemotePools(agent, tmp_path, real, shared, more)
        yield made
        made.events.close()


# Files


def test_servers_are_in_every_pool_and_seen_as_in_one(world: PoolsWorld) -> None:
    world.route(PLAIN, STICKY, RAW)
    assert sorted(world.held.values()) == ["h001", "s001", "t001"]
    world.add(world.one, world.two)

    assert all(set(servers) == {"one", "two"} for servers in world.pools().values())
    observed = world.observe()
    assert observed.written == observed.expected
    assert observed.configured == {"one": world.one.address, "two": world.two.address}
    assert (observed.name, observed.awaited) == (f"gateway {GATEWAY}", "")
    assert observed.file == f"pools h001, s001, t001 of gateway {GATEWAY}"
    assert world.answering("/") <= {"one", "two"}
    assert world.answering("/cart") <= {"one", "two"}


def test_files_that_disagree_are_to_be_written(world: PoolsWorld) -> None:
    world.route(PLAIN, STICKY)
    world.add(world.one, world.two)
    whole = world.observe()
    only = [PoolServer("one", world.one.address)]
    world.files.write_pool(world.site, "h001", only, PoolSettings(HEALTH, 5.0))

    observed = world.observe()
    assert observed.written is None
    assert observed.configured == whole.configured
    world.configure(world.one, world.two)
    assert (world.observe().written, world.observe().configured) == (whole.expected, whole.configured)


def test_a_pool_that_is_spare_is_not_written_yet(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.files.write_pool(world.site, "h001", (), None)
    assert world.observe().written is None
    world.configure()
    assert (world.observe().written, world.observe().configured) == (world.observe().expected, {})


def test_settings_are_in_the_maps_before_the_first_check(world: PoolsWorld) -> None:
    world.route(PLAIN)
    former = world.observe().expected
    probe = Probe("/healthz?x=1", "app.test", 0.5)
    world.stack = replace(world.stack, proxy=replace(world.stack.proxy, health=probe, hold_seconds=7.5))
    assert (world.observe().written, world.observe().expected != former) == (former, True)

    world.configure(world.one)
    maps = world.haproxy().read_maps(("check-path", "check-host", "hold"))
    assert {name: entries["h001"] for name, entries in maps.items()} == {
        "check-path": "/healthz?x=1",
        "check-host": "app.test",
        "hold": "7500",
    }
    assert world.files.read_gateway(world.site).settings["h001"] == PoolSettings(probe, 7.5)


def test_it_tells_its_pools_also_those_that_are_spare(world: PoolsWorld) -> None:
    assert world.haproxy().pools() == set(POOLS)


def test_one_that_starts_serves_what_the_file_says(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.configure(world.one)
    world.start(2, handover=1)
    world.until("it answers", lambda: world.instance(2).answering)
    assert set(world.pools(slot=2)["h001"]) == {"one"}
    assert world.haproxy(2).led_to() == {"h001"}
    # The other one was never told.
    assert not world.members()["one"].enabled
    world.tell(world.one)
    world.until("it is up", lambda: world.up() == {"one"})


# What a gateway has to do first


def test_another_pool_is_waited_for(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.configure()
    assert world.observe().awaited == ""
    more = Grant(GATEWAY, Route.model_validate(STICKY, by_alias=True))
    assert world.stack.routed is not None
    both = replace(world.stack, routed=Routed((*world.stack.routed.grants, more)))
    awaited = world.proxy.observe(both, []).awaited
    assert awaited == f"gateway {GATEWAY} has no pool for some of its routes yet"


def test_a_former_pool_gets_new_servers_as_long_as_requests_come_to_it(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    former = world.haproxy().read_maps(("routes",))
    compressed = {**PLAIN, "compression": True}
    before = dict(world.held)
    world.route(compressed)
    world.held = {**before, **world.held}
    maps = world.files.read_gateway(world.site).maps
    world.files.write_pool(
        world.site, "h001", [PoolServer("one", world.one.address)], PoolSettings(HEALTH, 5.0)
    )
    world.files.write_routes(world.site, world.held, {**maps, **former})
    world.haproxy().change_maps(former)
    world.add(world.one, world.two)
    assert {pool: set(servers) for pool, servers in world.pools().items()} == {
        "h001": {"one", "two"},
        "z001": {"one", "two"},
    }
    assert world.observe().awaited == f"gateway {GATEWAY} does not lead requests to pool z001 yet"

    # From now on it is its gateway's.
    world.files.write_routes(world.site, world.held, maps)
    world.haproxy().change_maps({"routes": maps["routes"]})
    world.configure(world.one)
    world.delete(world.two, force=True)
    world.tell(replace(world.two, name="three"))
    assert {pool: set(servers) for pool, servers in world.pools().items()} == {
        "h001": {"one"},
        "z001": {"one", "three"},
    }


def test_requests_that_are_not_led_to_a_pool_yet_are_waited_for(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    world.haproxy().change_maps({"routes": {}})
    assert world.observe().awaited == f"gateway {GATEWAY} does not lead requests to pool h001 yet"


def test_a_service_without_a_pool_is_closed(world: PoolsWorld) -> None:
    world.route(PLAIN)
    assert world.proxy.closed(world.stack) == ""
    more = Grant("other", Route.model_validate(STICKY, by_alias=True))
    assert world.stack.routed is not None
    both = replace(world.stack, routed=Routed((*world.stack.routed.grants, more)))
    assert world.proxy.closed(both) == ""
    only = replace(world.stack, routed=Routed((more,)))
    assert world.proxy.closed(only) == "waits for gateway other to give it a pool"
    with pytest.raises(ProxyError, match="waits for gateway other"):
        world.proxy.configure(only, [])


def test_a_reload_belongs_to_the_gateway(world: PoolsWorld) -> None:
    world.route(PLAIN)
    with pytest.raises(ProxyError, match="belongs to a gateway"):
        world.proxy.reload(world.stack, 1)


# Servers


def test_a_trusted_server_serves_at_once_and_repeating_changes_nothing(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    for _ in range(2):
        world.tell(world.two)
        assert world.up() == {"one", "two"}
    world.until("both answer", lambda: world.answering() == {"one", "two"})
    for _ in range(2):
        world.drain(world.two)
        assert (world.members()["two"].draining, world.up()) == (True, {"one"})
    assert world.answering() == {"one"}
    world.tell(world.two)
    assert world.up() == {"one", "two"}
    world.until("it has no session", lambda: world.sessions("two") == 0)
    for _ in range(2):
        world.delete(world.two)
        assert set(world.members()) == {"one"}
    world.drain(world.two)
    assert set(world.members()) == {"one"}


def test_a_server_that_moved_is_replaced(world: PoolsWorld) -> None:
    world.route(PLAIN, STICKY)
    world.add(world.one)
    world.tell(replace(world.two, name="one"))
    assert world.members()["one"].addresses == {world.two.address}


def test_an_untrusted_server_gets_nothing_before_its_first_good_check(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    late = world.late()
    world.tell(late, trusted=False)
    assert (world.members()["late"].enabled, world.up()) == (True, {"one"})
    world.until("it is up", lambda: "late" in world.up())
    world.until("it answers", lambda: "late" in world.answering())


def test_a_server_where_nobody_listens_goes_down_by_itself(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    world.tell(dead(world.one), trusted=False)
    assert world.up() == {"one"}
    assert world.members()["dead"].enabled
    assert world.answering() == {"one"}


def test_one_that_one_pool_lacks_is_added_there(world: PoolsWorld) -> None:
    world.route(PLAIN, STICKY)
    world.add(world.one)
    world.haproxy().pool("s001").delete_servers(["one"], force=True)
    member = world.members()["one"]
    assert (member.enabled, member.draining) == (False, False)
    world.tell(world.one)
    assert all("one" in servers for servers in world.pools().values())


def test_weights_are_set_in_every_pool(world: PoolsWorld) -> None:
    world.route(PLAIN, STICKY)
    world.add(world.one, world.two)
    named = [(each.name, each.address) for each in (world.one, world.two)]
    world.proxy.configure(world.stack, named, [("two", 9)])
    world.proxy.set_weights(world.stack, world.slots, [("two", 9), ("gone", 3)])
    assert (world.observe().weights, world.members()["two"].weights) == ({"two": 9}, {9})
    assert {servers["two"].weight for servers in world.pools().values()} == {9}
    world.reload()
    assert {servers["two"].weight for servers in world.pools().values()} == {9}


def test_a_server_with_a_session_in_one_pool_is_deleted_only_by_force(world: PoolsWorld) -> None:
    world.route(PLAIN, STICKY)
    world.add(world.one)
    session = world.request("/cart", 4)
    assert world.until("it is answered", session.server) == "one"
    assert world.sessions("one") == 1
    world.drain(world.one)
    with pytest.raises(ProxyError, match="server one cannot be deleted, it still has 1 session"):
        world.delete(world.one)
    assert session.whole()
    world.until("it has no session", lambda: world.sessions("one") == 0)
    world.delete(world.one)
    assert world.members() == {}

    world.add(world.one)
    cut = world.request("/", 60)
    world.until("it is answered", cut.server)
    world.delete(world.one, force=True)
    assert (world.members(), cut.whole()) == ({}, False)


def test_a_request_waits_until_there_is_a_server(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    world.drain(world.one)
    session = world.request()
    assert session.server() == ""
    world.tell(world.two)
    assert world.until("it is answered", session.server) == "two"
    assert session.whole()


# Workers and slots


def test_a_reload_leaves_sessions_to_the_old_worker_and_keeps_what_is_known(world: PoolsWorld) -> None:
    world.route(PLAIN, STICKY)
    world.add(world.one, world.two)
    world.drain(world.two)
    sessions = [world.request(path, 6) for path in ("/", "/cart")]
    assert [world.until("it is answered", each.server) for each in sessions] == ["one", "one"]
    world.until("it lasts", lambda: world.members()["two"].since >= 1)
    world.reload()

    current, old = world.instance(1).workers
    assert (current.current, old.current) == (True, False)
    assert {s.name: (s.admin, s.sessions) for s in current.servers} == {
        "one": (Admin.READY, 0),
        "two": (Admin.DRAIN, 0),
    }
    assert [(s.name, s.admin, s.up, s.sessions) for s in old.servers] == [("one", Admin.DRAIN, False, 2)]
    assert world.members()["two"].since >= 1
    # It serves in the new worker, and still has sessions in the old one.
    world.drain(world.one)
    world.delete(world.one)
    member = world.members()["one"]
    assert (member.draining, member.sessions) == (True, 2)
    assert all(each.whole() for each in sessions)
    world.until("the old worker is gone", lambda: len(world.instance(1).workers) == 1)
    assert "one" not in world.members()


def test_a_slot_without_a_haproxy_is_silent_and_no_obstacle(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    world.files.write_slots(world.site, [1, 2], {})
    assert [each.answering for each in world.observe().instances] == [True, False]
    assert world.instance(2).container == f"gateway {GATEWAY} slot 2"
    world.until("it is silent", lambda: world.instance(2).silent >= 1)
    world.proxy.drain_servers(world.stack, [1, 2], ["one"])
    world.proxy.delete_servers(world.stack, [1, 2], ["one"], force=False)
    world.files.write_slots(world.site, [1], {})
    assert [each.slot for each in world.observe().instances] == [1]


def test_a_drained_server_is_taken_back(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    (pool,) = (name for name, servers in world.pools().items() if servers)
    told = world.haproxy().pool(pool)
    told.drain_servers(["one"])
    assert world.up() == set()
    told.restore_servers(["one", "none"])
    assert world.up() == {"one"}


def test_one_that_is_gone_is_a_fact_and_no_obstacle(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    world.signal(1, "KILL")
    world.until("it is gone", lambda: not world.instance(1).answering)
    assert world.instance(1).workers == ()
    world.proxy.drain_servers(world.stack, [1], ["one"])
    world.proxy.delete_servers(world.stack, [1], ["one"], force=True)


def test_one_that_does_not_answer_is_an_error_and_its_silence_is_counted(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    world.signal(1, "STOP")
    assert not world.instance(1).answering
    world.until("it is silent", lambda: world.instance(1).silent >= 1)
    with pytest.raises(ProxyError, match="did not answer"):
        world.drain(world.one, 1)


def test_a_pair_is_told_together_or_one_by_one(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.start(2, handover=1)
    world.add(world.one, world.two)
    assert [set(world.pools(slot)["h001"]) for slot in (1, 2)] == 2 * [{"one", "two"}]
    world.drain(world.one, 2)
    assert [world.pools(slot)["h001"]["one"].admin for slot in (1, 2)] == [Admin.READY, Admin.DRAIN]
    assert not world.members()["one"].enabled


def test_a_replica_that_another_haproxy_drained_long_ago_had_requests_until_the_reload(
    world: PoolsWorld,
) -> None:
    """One HAProxy could not be told, and its new worker read a file without the replica."""
    world.route(PLAIN)
    world.start(2, handover=1)
    world.add(world.one)
    session = world.request("/", 8)
    world.until("it is answered", session.server)
    (told,) = (slot for slot in (1, 2) if not world.pools(slot)["h001"]["one"].sessions)
    world.configure()
    world.drain(world.one, told)
    world.until("it was long ago", lambda: world.pools(told)["h001"]["one"].since >= 3)
    world.reload(3 - told)

    member = world.members()["one"]
    assert (member.draining, member.sessions) == (True, 1)
    assert member.since < 3
    assert session.whole()


def test_one_that_leaves_takes_no_change_and_ends_with_its_last_session(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    session = world.request("/", 4)
    world.until("it is answered", session.server)
    world.signal(1, "USR1")
    world.until("it leaves", lambda: not any(each.current for each in world.instance(1).workers))
    assert world.sessions("one") == 1
    world.tell(world.two)
    world.drain(world.one)
    assert session.whole()
    world.until("it has ended", lambda: not world.instance(1).answering)


# Other services


def test_another_service_is_not_touched(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    other = replace(world.stack, name="t", project="vault-t")
    assert world.proxy.closed(other) == f"waits for gateway {GATEWAY} to give it a pool"
    assert world.proxy.observe(other, []).instances == ()
    world.proxy.add_servers(other, [1], [NewServer("two", world.two.address, trusted=True)])
    world.proxy.delete_servers(other, [1], ["one"], force=True)
    assert world.proxy.withdraw("t", force=True) == 0
    assert world.up() == {"one"}


def test_a_deleted_service_leaves_when_its_sessions_have_ended(world: PoolsWorld) -> None:
    world.route(PLAIN, STICKY)
    world.add(world.one, world.two)
    session = world.request("/", 3)
    world.until("it is answered", session.server)
    assert world.proxy.withdraw(SERVICE, force=False) == 1
    assert session.whole()
    world.until("no session is left", lambda: world.proxy.withdraw(SERVICE, force=False) == 0)
    assert not any(world.pools().values())
    # For its gateway, which knows whether another HAProxy is about to answer that has them.
    assert world.files.read_gateway(world.site).busy == {"h001", "s001"}


def test_a_deleted_service_leaves_at_last(world: PoolsWorld) -> None:
    world.route(PLAIN)
    world.add(world.one)
    session = world.request("/", 60)
    world.until("it is answered", session.server)
    assert world.proxy.withdraw(SERVICE, force=True) == 0
    assert not session.whole()
    assert not any(world.pools().values())
