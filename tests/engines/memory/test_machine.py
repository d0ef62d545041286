"""The machine in memory: its addresses, and how its processes end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.core.desired.stack import Role
from reconciler.core.names import CONTROL_NET, VAULT_NET
from reconciler.engines.memory.machine import Behaviour, Machine, MemoryContainer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVER = Behaviour()
NETWORKS = frozenset({VAULT_NET, CONTROL_NET})


def started(machine: Machine, number: int, behaviour: Behaviour = SERVER) -> MemoryContainer:
    container = MemoryContainer(
        id=f"{number:064}",
        name=f"web-{number}",
        service="files",
        project="vault-files",
        workload="web",
        role=Role.WEB,
        revision="1",
        behaviour=behaviour,
        number=number,
        created=NOW,
        networks=NETWORKS,
        restarts=False,
    )
    machine.add(container)
    machine.start(container)
    return container


@pytest.mark.parametrize("count", [1, 248, 249, 1000])
def test_every_container_has_addresses_of_its_own(count: int) -> None:
    machine = Machine(lambda: 0.0, lambda: NOW)
    containers = [started(machine, number) for number in range(count)]
    addresses = [address for container in containers for address in container.addresses.values()]
    assert len(set(addresses)) == len(addresses) == count * len(NETWORKS)


def test_the_lowest_free_address_is_given_out_again() -> None:
    machine = Machine(lambda: 0.0, lambda: NOW)
    containers = [started(machine, number) for number in range(3)]
    freed = dict(containers[1].addresses)
    machine.remove(containers[1])
    assert started(machine, 3).addresses == freed


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [(SERVER, 0), (Behaviour(life=60.0, exit_code=3), 143), (Behaviour(stop=30.0), 137)],
    ids=["server", "job", "deaf"],
)
def test_a_job_that_is_stopped_has_not_done_its_work(behaviour: Behaviour, code: int) -> None:
    now = 0.0
    machine = Machine(lambda: now, lambda: NOW)
    container = started(machine, 1, behaviour)
    machine.stop(container, 10.0)
    now = 20.0
    machine.settle()
    assert (container.is_up, container.exit_code) == (False, code)
