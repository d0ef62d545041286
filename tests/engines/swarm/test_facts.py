"""Clocks of nodes, from what tasks say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.engines.nodes import Node
from reconciler.engines.swarm.facts import skews

NODES = {name: Node(name, name) for name in ("n1", "n2", "n3")}


def _task(node: str, said: str, heard: str, *, container: str = "c") -> Mapping[str, Any]:
    status = {"Timestamp": f"2026-05-01T{said}Z", "ContainerStatus": {"ContainerID": container}}
    return {"NodeID": node, "Status": status, "UpdatedAt": f"2026-05-01T{heard}Z"}


def test_a_clock_that_is_ahead_says_a_time_that_is_still_to_come() -> None:
    tasks = [_task("n1", "12:00:00", "12:00:00.1"), _task("n2", "13:00:00", "12:00:00.1")]
    assert skews(tasks, NODES) == {"n1": -0.1, "n2": 3599.9}


def test_one_that_is_behind_is_told_from_a_task_that_was_changed_later() -> None:
    tasks = [
        _task("n1", "10:00:00", "12:00:00"),
        _task("n1", "12:00:00", "12:00:01"),
        _task("n2", "11:00:00", "12:00:00"),
        _task("n2", "11:30:00", "12:30:00"),
    ]
    assert skews(tasks, NODES) == {"n1": -1.0, "n2": -3600.0}


def test_what_no_node_has_said_says_nothing() -> None:
    tasks = [_task("", "12:00:00", "13:00:00"), _task("n3", "12:00:00", "13:00:00", container="")]
    assert skews(tasks, NODES) == {}
