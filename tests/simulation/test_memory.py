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


class Driver:
    """A machine whose clock the test sets."""

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
def driver() -> Driver:
    return Driver(Wish("web"))


def test_a_controller_that_dies_leaves_who_ignores_its_stop_alone() -> None:
    driver = Driver(Wish("web"), Behaviour(stop=float("inf")))
    driver.create(1)
    driver.start()
    driver.engine.stop((driver.seen()[0].id,), 10)
    driver.machine.lose_grip()
    driver.time += 60
    (web,) = driver.seen()
    assert (web.state, web.stopping) == (State.RUNNING, False)


def test_a_crash_is_followed_by_a_restart_and_another_crash_by_a_longer_wait() -> None:
    driver = Driver(Wish("web"), Behaviour(life=1.0))
    driver.create(1)
    driver.start()
    for pause in (0.1, 0.2, 0.4):
        driver.time += 1.0
        assert driver.seen()[0].state is State.RESTARTING
        driver.time += pause
        assert driver.seen()[0].state is State.RUNNING


def test_a_freed_address_is_given_out_again(driver: Driver) -> None:
    driver.create(2)
    driver.start()
    first, second = driver.seen()
    driver.engine.remove((first.id,))
    driver.create(1, existing=1)
    driver.start()
    third = driver.seen()[-1]
    assert third.addresses == first.addresses
    assert third.number == second.number + 1


def test_checks_notice_late(driver: Driver) -> None:
    driver.open()
    name, address = driver.serve()
    (process,) = driver.proxy.processes(driver.stack)
    server = driver.proxy.processes(driver.stack)[process].workers[0].servers[name]
    container = driver.machine.addresses[address.partition(":")[0]]
    driver.machine.fall_ill(container)
    driver.time += SEES_DOWN_AFTER - 0.1
    driver.proxy.processes(driver.stack)
    assert server.up
    driver.time += 0.1
    driver.proxy.processes(driver.stack)
    assert not server.up
    driver.machine.recover(container)
    driver.time += SEES_UP_AFTER
    driver.proxy.processes(driver.stack)
    assert server.up
