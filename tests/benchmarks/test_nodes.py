"""The town of benchmarks/nodes.py is one: it converges, recovers, and counts what it asks of Swarm."""

from __future__ import annotations

from benchmarks.nodes import LONGEST, SERVICES, Town, _looking
from reconciler.core.desired.stack import Role


def test_nodes_that_fail_are_left_and_the_requests_are_counted() -> None:
    town = Town(3, 2, 3)
    assert town.live(LONGEST)
    replicas = [c for c in town.machine.containers.values() if c.role is Role.WEB]
    assert len(replicas) == 6
    lost = sum(c.node == "node02" for c in replicas)
    assert lost
    assert town.counted.requests["start"] == 8 * len(replicas)
    town.counted.requests.clear()
    town.engine.nodes.lose("node02")
    assert town.live(LONGEST)
    assert not [c for c in town.machine.containers.values() if c.node == "node02" and c.role is Role.WEB]
    assert town.counted.requests["stop"] >= 2 * lost


def test_the_list_of_tasks_is_that_of_all_services() -> None:
    (row,) = _looking("a town")
    assert "MB of JSON" in row.note
    assert SERVICES == 1000
