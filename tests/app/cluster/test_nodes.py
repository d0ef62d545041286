"""Machines become Nodes, the same for `vaultctl get nodes` and for kubectl."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.app.cluster.nodes import ZONE, node_document, node_roles, node_status
from reconciler.engines.nodes import Availability, Drain, Node
from tests.web.kube.instances import node

SINCE = datetime(2026, 5, 1, tzinfo=UTC)
JOINED = datetime(2026, 4, 1, tzinfo=UTC)


def document(one: Node | None, name: str = "here") -> dict[str, Any]:
    return node_document(one, name, SINCE, "v1")


def test_one_that_does_not_answer_is_not_ready() -> None:
    there, away = document(node()), document(None)
    assert there["status"]["conditions"][0]["status"] == "True"
    assert there["status"]["capacity"] == {"cpu": "2", "memory": "4194304Ki"}
    assert away["status"]["conditions"][0]["status"] == "Unknown"
    assert there["metadata"]["uid"] == away["metadata"]["uid"]


@pytest.mark.parametrize(
    ("changes", "status", "roles"),
    [
        ({}, "Ready", "control-plane"),
        ({"is_manager": False}, "Ready", "worker"),
        ({"availability": Availability.PAUSE}, "Ready,SchedulingDisabled", "control-plane"),
        ({"availability": Availability.DRAIN}, "Ready,SchedulingDisabled", "control-plane"),
        ({"is_up": False, "problem": "is down: heartbeat failure"}, "NotReady", "control-plane"),
    ],
)
def test_status_and_roles(changes: dict[str, Any], status: str, roles: str) -> None:
    found = document(node(**changes))
    assert (node_status(found), node_roles(found)) == (status, roles)


def test_one_of_a_swarm_has_its_own_labels_zone_and_age() -> None:
    found = document(
        node(
            address="10.0.0.2",
            labels={"zone": "west", "disk": "ssd"},
            since=JOINED,
            drain=Drain(SINCE),
            is_reachable=True,
            hostname="vm-2",
        ),
        "node2",
    )
    metadata = found["metadata"]
    assert metadata["creationTimestamp"] == "2026-04-01T00:00:00Z"
    assert (metadata["labels"][ZONE], metadata["labels"]["disk"]) == ("west", "ssd")
    assert metadata["labels"]["kubernetes.io/hostname"] == "vm-2"
    assert metadata["annotations"]["vault.internal/drained-since"] == "2026-05-01T00:00:00Z"
    assert metadata["annotations"]["vault.internal/manager"] == "reachable"
    assert found["status"]["addresses"][0] == {"type": "InternalIP", "address": "10.0.0.2"}


def test_why_it_is_down_is_told() -> None:
    found = document(node(is_up=False, problem="is down: heartbeat failure"))
    condition = found["status"]["conditions"][0]
    assert (condition["status"], condition["reason"]) == ("False", "NodeDown")
    assert condition["message"] == "the node is down: heartbeat failure"
