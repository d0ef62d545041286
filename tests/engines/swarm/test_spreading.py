"""Which nodes an instance is kept off while Swarm places it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reconciler.engines.nodes import Node
from reconciler.engines.swarm.spreading import crowded, where_others_are


def _node(name: str, zone: str, *, is_up: bool = True) -> Node:
    return Node(name, name, is_up, labels={"zone": zone})


NODES = [_node("a1", "a"), _node("a2", "a"), _node("b1", "b"), _node("c1", "c", is_up=False)]
ZONES = ["node.labels.zone"]


@pytest.mark.parametrize(
    ("constraints", "spread", "others", "avoided"),
    [
        ([], [], [], []),
        ([], [], ["a1"], ["a1"]),
        ([], [], ["a1", "b1"], ["a1", "b1"]),
        ([], [], ["a1", "a2", "b1"], []),
        ([], [], ["a1", "a1", "a2", "b1"], ["a1"]),
        # First the zones, then the nodes of the emptiest one.
        ([], ZONES, ["a1"], ["a1", "a2"]),
        ([], ZONES, ["a1", "b1"], ["a1", "b1"]),
        ([], ZONES, ["a1", "b1", "b1"], ["a1", "b1"]),
        ([], ["node.labels.nothing"], ["a1"], ["a1"]),
        # What cannot take it anyway does not count.
        (["node.labels.zone==a"], ZONES, ["b1"], []),
        (["node.labels.zone==a"], ZONES, ["a2"], ["a2"]),
        ([], [], ["c1"], []),
        (["node.labels.zone==d"], [], ["a1"], []),
    ],
)
def test_an_instance_goes_where_there_are_fewest_of_its_workload(
    constraints: Sequence[str], spread: Sequence[str], others: Sequence[str], avoided: Sequence[str]
) -> None:
    assert crowded(NODES, constraints, spread, others) == [f"node.id!={each}" for each in avoided]


def test_the_others_are_tasks_of_the_same_workload_that_run_somewhere() -> None:
    tasks = [
        {"ServiceID": "s1", "NodeID": "own", "Status": {"State": "running"}},
        {"ServiceID": "s2", "NodeID": "n2", "Status": {"State": "preparing"}},
        {"ServiceID": "s2", "NodeID": "n3", "Status": {"State": "failed"}},
        {"ServiceID": "s3", "NodeID": "", "Status": {"State": "pending"}},
        {"ServiceID": "other", "NodeID": "n4", "Status": {"State": "running"}},
    ]
    assert where_others_are("s1", ["s1", "s2", "s3"], tasks) == ["n2"]
