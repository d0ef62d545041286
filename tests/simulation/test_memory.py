"""When things happen in memory, and in which order; what happens is in tests/contracts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import Container, State
from reconciler.core.desired.stack import Stack
from reconciler.core.names import VAULT_NET
from reconciler.core.plan.operations import CreateProxy, CreateReplicas
from reconciler.engines.memory.engine import MemoryEngine, answers_after_boot
from reconciler.engines.memory.machine import Behaviour, Machine
from reconciler.proxy.base import NewServer
from reconciler.proxy.memory import SEES_DOWN_AFTER, SEES_UP_AFTER, MemoryProxy
from tests.simulation.services import Wish, build_stack


class Hands:
    """A machine with hands on its clock."""

    def __init__(self, wish: Wish, behaviour: Behaviour | None = None) -> None:
        self.time = 0.0
        self.machine = Machine(
            lambda: self.time, lambda: datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=self.time)
        )
        self.engine = MemoryEngine(self.machine, (lambda *_: behaviour) if behaviour else answers_after_boot)
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
        self.proxy.add_servers(self.stack, [1, 2], [NewServer(web.short, address, trusted=True)])
        return web.short, address


@pytest.fixture
def hands() -> Hands:
    return Hands(Wish("web"))


def test_a_controller_that_dies_leaves_who_ignores_its_stop_alone() -> None:
    hands = Hands(Wish("web"), Behaviour(stop=float("inf")))
    hands.create(1)
    hands.start()
    hands.engine.stop((hands.seen()[0].id,), 10)
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
