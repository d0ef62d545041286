"""The memory engine and proxy keep what the real ones promise, and their traps."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observed import Container, Health, State
from reconciler.core.desired.stack import Stack
from reconciler.core.names import VAULT_NET
from reconciler.core.plan.operations import CreateProxy, CreateReplicas
from reconciler.engines.base import Engine
from reconciler.engines.errors import EngineError, ImageMissingError
from reconciler.engines.memory.engine import MemoryEngine
from reconciler.engines.memory.machine import Behaviour, Machine
from reconciler.proxy.base import Proxy
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.memory import SEES_DOWN_AFTER, SEES_UP_AFTER, MemoryProxy
from tests.simulation.services import Wish, build_stack


class Hands:
    """A machine with hands on its clock."""

    def __init__(self, wish: Wish, behaviour: Behaviour | None = None) -> None:
        self.time = 0.0
        self.machine = Machine(
            lambda: self.time, lambda: datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=self.time)
        )
        self.engine = MemoryEngine(self.machine, *([lambda *_: behaviour] if behaviour else []))
        self.proxy = MemoryProxy(self.machine, lambda: self.time)
        self.stack: Stack = build_stack(wish.service())

    def create(self, count: int, existing: int = 0, workload: str = "web") -> None:
        request = CreateReplicas(workload=workload, count=count, existing=existing, cause=Cause.MISSING)
        self.engine.create(self.stack, (request,))

    def seen(self, workload: str = "web") -> list[Container]:
        return [c for c in self.engine.observe(self.stack).containers if c.workload == workload]

    def start(self, workload: str = "web") -> None:
        self.engine.start(tuple(c.id for c in self.seen(workload)))

    def open(self, slots: int = 1) -> None:
        """Gateway and HAProxies, running."""
        self.create(1, workload="gateway")
        self.start("gateway")
        (gateway,) = self.seen("gateway")
        for slot in range(1, slots + 1):
            request = CreateProxy(
                workload="haproxy", existing=slot - 1, slot=slot, gateway=gateway.id, cause=Cause.MISSING
            )
            self.engine.create(self.stack, (request,))
        self.start("haproxy")
        self.time += 1

    def serve(self) -> tuple[str, str]:
        """One web replica in the pool; its server and address."""
        self.create(1)
        self.start()
        self.time += 5
        (web,) = self.seen()
        address = f"{web.addresses[VAULT_NET]}:8000"
        self.proxy.configure(self.stack, [(web.short, address)])
        self.proxy.add_server(self.stack, [1, 2], web.short, address, trusted=True)
        return web.short, address


@pytest.fixture
def hands() -> Hands:
    return Hands(Wish("web"))


@pytest.mark.parametrize(("promised", "kept"), [(Engine, MemoryEngine), (Proxy, MemoryProxy)])
def test_every_promise_is_kept(promised: type, kept: type) -> None:
    for name, method in inspect.getmembers(promised, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(kept, name)) == inspect.signature(method), name


def test_a_container_boots_answers_and_ends(hands: Hands) -> None:
    hands.create(1)
    assert hands.seen()[0].state is State.CREATED
    hands.start()
    assert hands.seen()[0].health is Health.STARTING
    hands.time += 2
    (web,) = hands.seen()
    assert (web.state, web.health) == (State.RUNNING, Health.HEALTHY)
    hands.engine.stop(web.id, 10)
    assert hands.seen()[0].stopping
    hands.time += 0.1
    (web,) = hands.seen()
    assert (web.state, web.exit_code, web.addresses) == (State.EXITED, 0, {})
    hands.engine.remove((web.id,))
    assert hands.seen() == []


def test_who_ignores_a_stop_is_killed_after_its_grace() -> None:
    hands = Hands(Wish("web"), Behaviour(stop=float("inf")))
    hands.create(1)
    hands.start()
    hands.engine.stop(hands.seen()[0].id, 10)
    hands.time += 9
    assert hands.seen()[0].state is State.RUNNING
    hands.time += 1
    assert hands.seen()[0].state is State.EXITED


def test_a_controller_that_dies_leaves_who_ignores_its_stop_alone() -> None:
    hands = Hands(Wish("web"), Behaviour(stop=float("inf")))
    hands.create(1)
    hands.start()
    hands.engine.stop(hands.seen()[0].id, 10)
    hands.machine.lose_grip()
    hands.time += 60
    (web,) = hands.seen()
    assert (web.state, web.stopping) == (State.RUNNING, False)


def test_a_crash_is_followed_by_a_restart_and_another_crash_by_a_longer_wait() -> None:
    hands = Hands(Wish("web"), Behaviour(life=1.0))
    hands.create(1)
    hands.start()
    for pause in (0.1, 0.2, 0.4):
        hands.time += 1.0
        assert hands.seen()[0].state is State.RESTARTING
        hands.time += pause
        assert hands.seen()[0].state is State.RUNNING


def test_a_kill_by_hand_is_followed_by_nothing(hands: Hands) -> None:
    hands.create(1)
    hands.start()
    hands.machine.kill(next(iter(hands.machine.containers.values())), by_hand=True)
    hands.time += 60
    (web,) = hands.seen()
    assert (web.state, web.exit_code) == (State.EXITED, 137)


def test_a_freed_address_is_given_out_again(hands: Hands) -> None:
    hands.create(2)
    hands.start()
    first, second = hands.seen()
    hands.engine.remove((first.id,))
    hands.create(1, existing=1)
    hands.start()
    third = hands.seen()[-1]
    assert third.addresses == first.addresses
    assert third.number == second.number + 1


def test_a_scale_that_is_too_low_removes_containers(hands: Hands) -> None:
    hands.create(3)
    hands.create(0, existing=1)
    assert len(hands.seen()) == 1


def test_a_repeated_creation_creates_once(hands: Hands) -> None:
    hands.create(3)
    hands.create(3)
    assert len(hands.seen()) == 3


def test_images_and_ports_can_be_in_the_way(hands: Hands) -> None:
    hands.engine.missing_images.add("web:1")
    assert hands.engine.observe(hands.stack).missing_images == {"web:1"}
    with pytest.raises(EngineError, match="No such image"):
        hands.create(1)
    hands.engine.unpullable.add("web:1")
    hands.engine.pull("web:1")
    assert hands.engine.observe(hands.stack).pulls["web:1"].lasting
    with pytest.raises(ImageMissingError):
        hands.engine.pull("web:1")
    hands.engine.unpullable.clear()
    hands.engine.pull("web:1")
    assert not hands.engine.observe(hands.stack).missing_images
    hands.engine.foreign_ports[8080] = "process nginx"
    assert hands.engine.observe(hands.stack).taken_ports == {8080: "process nginx"}


def test_a_proxy_cannot_join_a_gateway_that_does_not_run(hands: Hands) -> None:
    hands.open()
    hands.machine.kill(hands.machine.containers[hands.seen("gateway")[0].id], by_hand=True)
    hands.machine.kill(hands.machine.containers[hands.seen("haproxy")[0].id], by_hand=True)
    with pytest.raises(EngineError, match="non running container"):
        hands.start("haproxy")


def test_volumes_stay_until_they_are_asked_for() -> None:
    hands = Hands(Wish("stateful"))
    hands.create(1, workload="database")
    hands.engine.tear_down(hands.stack.project, volumes=False)
    assert hands.engine.volumes == {"vault-files_data"}
    hands.engine.tear_down(hands.stack.project, volumes=True)
    assert hands.engine.volumes == set()


def test_a_server_takes_requests_and_is_drained_before_it_goes(hands: Hands) -> None:
    hands.open()
    name, _ = hands.serve()
    (process,) = hands.proxy.processes(hands.stack)
    assert hands.proxy.request(hands.stack, process, 5.0, lambda names: names[0]) == name
    hands.proxy.drain_server(hands.stack, [1], name)
    assert hands.proxy.request(hands.stack, process, 5.0, lambda names: names[0]) == ""
    with pytest.raises(ProxyError, match="1 sessions"):
        hands.proxy.delete_server(hands.stack, [1], name, force=False)
    hands.time += 5
    hands.proxy.delete_server(hands.stack, [1], name, force=False)
    assert hands.proxy.processes(hands.stack)[process].workers[0].servers == {}


def test_a_reload_leaves_sessions_to_the_old_worker(hands: Hands) -> None:
    hands.open()
    name, _ = hands.serve()
    (process,) = hands.proxy.processes(hands.stack)
    hands.proxy.request(hands.stack, process, 5.0, lambda names: names[0])
    hands.proxy.reload(hands.stack, 1)
    (instance,) = hands.proxy.observe(hands.stack, hands.seen("haproxy")).instances
    assert [(w.current, [s.sessions for s in w.servers]) for w in instance.workers] == [
        (True, [0]),
        (False, [1]),
    ]
    assert instance.workers[1].servers[0].name == name
    hands.time += 5
    (instance,) = hands.proxy.observe(hands.stack, hands.seen("haproxy")).instances
    assert len(instance.workers) == 1


def test_checks_notice_late(hands: Hands) -> None:
    hands.open()
    name, address = hands.serve()
    (process,) = hands.proxy.processes(hands.stack)
    server = hands.proxy.processes(hands.stack)[process].workers[0].servers[name]
    container = hands.machine.addresses[address.partition(":")[0]]
    hands.machine.fall_ill(container)
    hands.time += SEES_DOWN_AFTER - 0.1
    hands.proxy.processes(hands.stack)
    assert server.up
    hands.time += 0.1
    hands.proxy.processes(hands.stack)
    assert not server.up
    hands.machine.recover(container)
    hands.time += SEES_UP_AFTER
    hands.proxy.processes(hands.stack)
    assert server.up


def test_a_proxy_that_is_stopped_ends_with_its_last_session(hands: Hands) -> None:
    hands.open()
    hands.serve()
    (process,) = hands.proxy.processes(hands.stack)
    hands.proxy.request(hands.stack, process, 5.0, lambda names: names[0])
    hands.engine.stop(process, 35)
    (instance,) = hands.proxy.observe(hands.stack, hands.seen("haproxy")).instances
    assert not any(worker.current for worker in instance.workers)
    hands.time += 5
    hands.proxy.observe(hands.stack, hands.seen("haproxy"))
    assert hands.seen("haproxy")[0].state is State.EXITED


def test_a_proxy_that_starts_reads_the_file(hands: Hands) -> None:
    hands.open()
    name, _ = hands.serve()
    (container,) = hands.seen("haproxy")
    hands.machine.kill(hands.machine.containers[container.id], by_hand=False)
    hands.time += 1
    assert list(hands.proxy.processes(hands.stack)[container.id].workers[0].servers) == [name]


def test_a_mute_proxy_is_told_nothing(hands: Hands) -> None:
    hands.open()
    name, _ = hands.serve()
    (container,) = hands.seen("haproxy")
    hands.proxy.mute.add(container.id)
    assert not hands.proxy.observe(hands.stack, [container]).instances[0].answering
    with pytest.raises(ProxyError, match="did not answer"):
        hands.proxy.drain_server(hands.stack, [1], name)
