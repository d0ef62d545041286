"""What every proxy keeps: the same tests for real HAProxies, for those on another node, and for the proxy in memory."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.core.assess.observation import Admin, State
from reconciler.proxy.base import Proxy
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.proxy import HAProxy
from reconciler.proxy.memory import MemoryProxy
from tests.contracts.proxies import ProxyWorld, RealWorld, WorldInMemory, dead
from tests.contracts.remote import RemoteWorld

# The real ones are made by the fixtures of tests/proxy.
from tests.proxy.conftest import gateway, replica, replicas
from tests.proxy.conftest import world as haproxies
from tests.proxy.remote.agents import agent_in

__all__ = ["gateway", "haproxies", "replica", "replicas"]


@pytest.fixture(
    params=[*(pytest.param(name, marks=pytest.mark.docker) for name in ("haproxy", "remote")), "memory"]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProxyWorld]:
    if request.param == "memory":
        yield WorldInMemory(tmp_path)
        return
    real, shared, more = (request.getfixturevalue(name) for name in ("haproxies", "replicas", "replica"))
    if request.param == "haproxy":
        yield RealWorld(real, shared, more)
        return
    with agent_in(tmp_path / "agent") as agent:
        yield RemoteWorld(agent, tmp_path, real, shared, more)


@pytest.mark.parametrize("kind", [HAProxy, MemoryProxy])
def test_every_method_is_there_with_its_parameters(kind: type) -> None:
    for name, method in inspect.getmembers(Proxy, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(kind, name)) == inspect.signature(method), name


# Configuration


def test_what_is_written_is_what_a_haproxy_starts_with(world: ProxyWorld) -> None:
    before = world.observe()
    assert (before.written, before.configured, before.instances) == (None, {}, ())
    world.configure(world.one)
    seen = world.observe()
    assert seen.written == seen.expected
    assert seen.configured == {"one": world.one.address}

    world.start()
    (instance,) = world.observe().instances
    assert (instance.answering, instance.structure, instance.silent) == (True, seen.expected, 0)
    (worker,) = instance.workers
    assert worker.current
    assert [(s.name, s.address, s.admin) for s in worker.servers] == [("one", world.one.address, Admin.READY)]
    world.until("it is up", lambda: world.up() == {"one"})
    assert world.answering() == {"one"}


def test_other_settings_are_in_force_after_a_reload(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    former = world.observe().expected
    world.change(hold_seconds=1.0)
    seen = world.observe()
    assert (seen.written, seen.instances[0].structure) == (former, former)
    assert seen.expected != former
    world.configure(world.one, world.two)
    seen = world.observe()
    assert (seen.written, seen.instances[0].structure) == (seen.expected, former)
    assert set(world.servers()) == {"one"}, "what is written changes nothing that runs"
    world.proxy.reload(world.stack, 1)
    assert world.observe().instances[0].structure == seen.expected
    assert set(world.servers()) == {"one", "two"}


def test_another_image_has_not_accepted_the_file(world: ProxyWorld) -> None:
    world.configure()
    (workload,) = world.stack.workloads
    world.stack = replace(world.stack, workloads=(replace(workload, image="vault-reconciler/none:1"),))
    assert world.observe().written is None
    world.configure()
    assert world.observe().written == world.observe().expected


def test_a_reload_without_a_file_is_refused(world: ProxyWorld) -> None:
    with pytest.raises(ProxyError):
        world.proxy.reload(world.stack, 1)


# Servers


def test_a_trusted_server_serves_at_once_and_repeating_changes_nothing(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    for _ in range(2):
        world.add(world.two)
        assert "two" in world.up()
    world.until("both are up", lambda: world.up() == {"one", "two"})
    assert world.answering() == {"one", "two"}
    for _ in range(2):
        world.drain("two")
        assert (world.servers()["two"].admin, world.servers()["two"].up) == (Admin.DRAIN, False)
    assert world.answering() == {"one"}
    world.add(world.two)
    assert world.up() == {"one", "two"}
    world.until("it has no session", lambda: world.sessions("two") == 0)
    for _ in range(2):
        world.delete("two")
        assert set(world.servers()) == {"one"}
    world.drain("two")
    assert set(world.servers()) == {"one"}


def test_a_server_that_moved_is_replaced(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    world.add(replace(world.two, name="one"))
    assert {name: server.address for name, server in world.servers().items()} == {"one": world.two.address}


def test_an_untrusted_server_gets_nothing_before_its_first_good_check(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    world.until("it is up", lambda: world.up() == {"one"})
    late = world.late()
    world.add(late, trusted=False)
    server = world.servers()["late"]
    assert (server.admin, server.up) == (Admin.READY, False)
    world.until("it is up", lambda: "late" in world.up())
    assert "late" in world.answering()


def test_a_server_where_nobody_listens_goes_down_by_itself(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    world.add(dead(world.one), trusted=False)
    assert "dead" not in world.up()
    world.until("the other is up", lambda: world.up() == {"one"})
    assert world.servers()["dead"].admin is Admin.READY
    assert world.answering() == {"one"}


def test_a_drained_server_ends_its_sessions_and_says_since_when(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    session = world.request(4)
    world.until("it is answered", session.server)
    world.add(world.two)
    world.until("it lasts", lambda: world.servers()["one"].since >= 1)
    assert world.servers()["one"].sessions == 1
    world.drain("one")
    drained = world.servers()["one"]
    assert (drained.admin, drained.up, drained.sessions) == (Admin.DRAIN, False, 1)
    assert drained.since < 2
    assert world.answering() == {"two"}
    assert session.whole()
    world.until("it has no session", lambda: world.servers()["one"].sessions == 0)


def test_a_server_with_a_session_is_deleted_only_by_force(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    session = world.request(60)
    world.until("it is answered", session.server)
    world.add(world.two)
    with pytest.raises(ProxyError, match="server one cannot be deleted, it still has 1 session"):
        world.delete("one")
    assert world.servers()["one"].admin is Admin.DRAIN
    world.delete("one", force=True)
    assert set(world.servers()) == {"two"}
    assert world.sessions("one") == 0
    assert not session.whole()


def test_several_servers_are_changed_together(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    world.until("it is up", lambda: world.up() == {"one"})
    moved = replace(world.two, name="one")
    world.add(moved, world.two, dead(world.one))
    assert {name: server.address for name, server in world.servers().items()} == {
        "one": world.two.address,
        "two": world.two.address,
        "dead": dead(world.one).address,
    }
    world.proxy.set_weights(world.stack, world.slots, [("two", 3), ("gone", 5), ("one", 2)])
    assert [world.servers()[name].weight for name in ("one", "two")] == [2, 3]
    world.drain("one", "gone", "dead")
    assert {n for n, server in world.servers().items() if server.admin is Admin.DRAIN} == {"one", "dead"}
    world.until("they have no session", lambda: world.sessions("one") + world.sessions("dead") == 0)
    world.delete("dead", "gone", "one")
    assert set(world.servers()) == {"two"}
    assert world.answering() == {"two"}


def test_a_busy_server_fails_a_deletion_of_several_and_stays(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    session = world.request(4)
    world.until("it is answered", session.server)
    world.add(world.two, dead(world.one))
    with pytest.raises(ProxyError, match="server one cannot be deleted, it still has 1 session"):
        world.delete("dead", "one")
    assert world.servers()["one"].admin is Admin.DRAIN
    assert session.whole()
    world.until("it has no session", lambda: world.sessions("one") == 0)
    world.delete("dead", "one")
    assert set(world.servers()) == {"two"}


def test_many_servers_come_and_go_in_one_call(world: ProxyWorld) -> None:
    """More commands than one round trip takes."""
    world.configure(world.one)
    world.start()
    world.until("it is up", lambda: world.up() == {"one"})
    many = [replace(dead(world.one), name=f"dead-{number}") for number in range(120)]
    world.add(*many, trusted=False)
    assert len(world.servers()) == 121
    world.delete(*(each.name for each in many))
    assert set(world.servers()) == {"one"}


def test_a_request_waits_until_there_is_a_server(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    world.until("it is up", lambda: world.up() == {"one"})
    world.drain("one")
    session = world.request()
    assert session.server() == ""
    world.add(world.two)
    assert world.until("it is answered", session.server) == "two"
    assert session.whole()


# Workers


def test_a_reload_leaves_sessions_to_the_old_worker_and_keeps_what_is_known(world: ProxyWorld) -> None:
    world.configure(world.one, world.two, dead(world.one))
    world.start()
    world.until("one is down", lambda: world.up() == {"one", "two"})
    world.drain("two")
    session = world.request(6)
    assert world.until("it is answered", session.server) == "one"
    world.until("both last", lambda: min(world.servers()[name].since for name in ("two", "dead")) >= 1)
    world.proxy.reload(world.stack, 1)

    current, old = world.workers()
    assert (current.current, old.current) == (True, False)
    assert {s.name: (s.admin, s.up, s.sessions) for s in current.servers} == {
        "one": (Admin.READY, True, 0),
        "two": (Admin.DRAIN, False, 0),
        "dead": (Admin.READY, False, 0),
    }
    assert {s.name: s.since >= 1 for s in current.servers if s.name != "one"} == {"two": True, "dead": True}
    assert [(s.name, s.admin, s.up, s.sessions) for s in old.servers] == [("one", Admin.DRAIN, False, 1)]
    assert old.pid != current.pid
    world.drain("one")
    world.delete("one")
    assert [server.name for server in world.workers()[1].servers] == ["one"]
    assert session.whole()
    world.until("the old worker is gone", lambda: len(world.workers()) == 1)


def test_force_cuts_what_an_old_worker_has_left(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    session = world.request(60)
    world.until("it is answered", session.server)
    world.configure(world.one, world.two)
    world.proxy.reload(world.stack, 1)
    world.delete("one", force=True)
    world.until("the old worker is gone", lambda: len(world.workers()) == 1)
    assert set(world.servers()) == {"two"}
    assert not session.whole()


# More than one, and none


def test_a_pair_is_told_together_or_one_by_one(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start(1)
    world.start(2)
    assert [instance.answering for instance in world.observe().instances] == [True, True]
    world.add(world.two)
    assert [set(world.servers(slot)) for slot in (1, 2)] == 2 * [{"one", "two"}]
    world.proxy.drain_servers(world.stack, [2], ["one"])
    assert [world.servers(slot)["one"].admin for slot in (1, 2)] == [Admin.READY, Admin.DRAIN]
    world.delete("one")
    assert [set(world.servers(slot)) for slot in (1, 2)] == 2 * [{"two"}]


def test_one_that_leaves_takes_no_change_and_ends_with_its_last_session(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    session = world.request(4)
    world.until("it is answered", session.server)
    world.leave()
    world.until("it leaves", lambda: not any(worker.current for worker in world.workers()))
    assert world.sessions("one") == 1
    world.add(world.two)
    world.drain("one")
    assert session.whole()
    world.until("it has ended", lambda: not world.observe().instances[0].answering)


def test_one_that_is_gone_is_a_fact_and_no_obstacle(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    world.kill()
    (instance,) = world.observe().instances
    assert (instance.answering, instance.structure, instance.workers) == (False, None, ())
    assert not instance.serves
    world.add(world.two)
    world.drain("two")
    world.delete("two", force=True)
    with pytest.raises(ProxyError):
        world.proxy.reload(world.stack, 1)


def test_one_that_does_not_answer_is_an_error_and_its_silence_is_counted(world: ProxyWorld) -> None:
    world.configure(world.one)
    world.start()
    world.freeze()
    (instance,) = world.observe().instances
    assert (instance.answering, instance.serves) == (False, True)
    assert world.answering() == {"one"}
    world.until("it is silent", lambda: world.observe().instances[0].silent >= 1)
    with pytest.raises(ProxyError, match="did not answer"):
        world.drain("one")


def test_only_those_that_run_and_have_a_slot_are_asked(world: ProxyWorld) -> None:
    world.configure()
    world.start()
    stopped = replace(world.containers[1], state=State.EXITED)
    unplaced = replace(world.containers[1], slot=None)
    assert world.proxy.observe(world.stack, [stopped, unplaced]).instances == ()
