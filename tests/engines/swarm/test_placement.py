"""Constraints, and the nodes of local volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from reconciler.engines.errors import EngineError, RefusedError
from reconciler.engines.nodes import Availability, Node
from reconciler.engines.swarm.placement import home_of, is_local, names_of, satisfies


def _node(number: int, *, is_up: bool = True, takes_tasks: bool = True, zone: str = "a") -> Node:
    availability = Availability.ACTIVE if takes_tasks else Availability.PAUSE
    return Node(f"n{number}", f"node{number}", is_up, availability, labels={"zone": zone})


NODES = {node.id: node for node in (_node(1), _node(2, zone="b"), _node(3, zone="b"))}


@pytest.mark.parametrize(
    ("constraints", "fits"),
    [
        ([], True),
        (["node.labels.zone==a"], True),
        (["node.labels.zone == A"], True),
        (["node.labels.zone!=a"], False),
        (["node.labels.zone==a", "node.hostname==node2"], False),
        (["node.labels.disk==ssd"], False),
        (["node.labels.disk!=ssd"], True),
        (["nonsense"], False),
    ],
)
def test_constraints_are_read_as_by_swarm(constraints: Sequence[str], fits: bool) -> None:
    assert satisfies(NODES["n1"], constraints) is fits


@pytest.mark.parametrize(
    ("body", "local"),
    [
        ({}, True),
        ({"driver": "local", "driver_opts": {"type": "none"}}, True),
        ({"driver_opts": {"type": "nfs"}}, False),
        ({"driver": "rexray"}, False),
    ],
)
def test_a_volume_is_local_unless_its_driver_knows_better(body: Mapping[str, Any], local: bool) -> None:
    assert is_local(body) is local


def test_a_volume_that_is_in_use_says_where() -> None:
    assert home_of("db", {"data": "n3"}, ["node.labels.zone==a"], NODES, "n1") == "n3", (
        "its data is nowhere else"
    )


def test_a_new_volume_is_on_the_controllers_node_if_that_fits() -> None:
    assert home_of("db", {}, [], NODES, "n2") == "n2"
    assert home_of("db", {}, ["node.labels.zone==b"], NODES, "n1") == "n2"
    nodes = {**NODES, "n2": _node(2, takes_tasks=False, zone="b")}
    assert home_of("db", {}, ["node.labels.zone==b"], nodes, "n1") == "n3"


def test_no_node_and_several_are_told() -> None:
    with pytest.raises(EngineError, match=r"no node for db: none .* satisfies node\.labels\.zone==c"):
        home_of("db", {}, ["node.labels.zone==c"], NODES, "n1")
    with pytest.raises(EngineError, match="no node for db"):
        home_of("db", {}, [], {"n1": _node(1, is_up=False)}, "n1")
    with pytest.raises(RefusedError, match=r"a on node1, b on node n9, which is gone"):
        home_of("db", {"a": "n1", "b": "n9"}, [], NODES, "n1")


def test_a_node_is_known_by_all_that_a_constraint_can_ask_for() -> None:
    node = Node(
        "n1",
        "web-1-abcdef",
        hostname="web-1",
        is_manager=False,
        architecture="x86_64",
        labels={"zone": "z"},
        engine_labels={"disk": "ssd"},
    )
    assert names_of(node) == {
        "node.id": "n1",
        "node.hostname": "web-1",
        "node.role": "worker",
        "node.platform.os": "linux",
        "node.platform.arch": "x86_64",
        "node.labels.zone": "z",
        "engine.labels.disk": "ssd",
    }
