"""A node is emptied by `vaultctl drain` while requests come: none is lost."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.chaos.machines import NODE_DRAINED, tell
from tests.e2e.load import Load
from tests.e2e.proof import REPLICAS, harsh_stage
from tests.e2e.stage import VAULTCTL, Stage
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory, Node
from tests.swarm.ways_in import on_the_first_node, opened_afterwards, removed_afterwards

pytestmark = [pytest.mark.docker, pytest.mark.turns]

RATE = 330.0
"""Requests per second."""


@pytest.fixture
def stage(swarm: Laboratory) -> Iterator[Stage]:
    """Three replicas that exit at once on SIGTERM, and a controller on the first node."""
    with (
        on_the_first_node(swarm),
        harsh_stage() as stage,
        removed_afterwards(swarm, stage),
        opened_afterwards(swarm),
        stage.controller(),
    ):
        stage.converged()
        yield stage


def _tasks_on(swarm: Laboratory, stage: Stage, node: Node) -> int:
    rows = swarm.first.docker(
        *("stack", "ps", "--format", "{{.Node}}", "--filter", "desired-state=running", stage.project)
    )
    return rows.split().count(node.name)


def _availability(swarm: Laboratory, node: Node) -> str:
    return swarm.first.docker("node", "inspect", "--format", "{{.Spec.Availability}}", node.name)


def _busy(swarm: Laboratory, stage: Stage) -> Node:
    """A node with replicas that is not the controller's."""
    return max(swarm.nodes[1:], key=lambda node: _tasks_on(swarm, stage, node))


def test_a_drained_node_loses_no_request_and_stays_empty(swarm: Laboratory, stage: Stage) -> None:
    node = _busy(swarm, stage)
    assert _tasks_on(swarm, stage, node)
    with Load(stage.port, rate=RATE) as load:
        began = time.monotonic()
        done = stage.vaultctl("drain", node.name, "--timeout", "150s")
        assert _tasks_on(swarm, stage, node) == 0
        stage.converged()
        empty = time.monotonic()
    tell(NODE_DRAINED, load, stage, harm=began, healed=empty)
    assert f"{node.name} is drained" in done.stderr
    assert "moving " in done.stderr
    assert _availability(swarm, node) == "drain"
    assert f"node {node.name} is drained" in stage.vaultctl("events").stdout
    nodes = json.loads(stage.vaultctl("get", "nodes", "-o", "json").stdout)["items"]
    assert [each["metadata"]["name"] for each in nodes if each["spec"].get("unschedulable")] == [node.name]

    # A rotation places nothing there; opened again, the node takes instances.
    stage.vaultctl("uncordon", node.name)
    assert _availability(swarm, node) == "active"
    stage.vaultctl("rotate", stage.name)
    stage.converged()
    until("it has a replica again", lambda: _tasks_on(swarm, stage, node))


def test_a_drain_goes_on_when_its_command_is_killed(swarm: Laboratory, stage: Stage) -> None:
    node = _busy(swarm, stage)
    words = [*VAULTCTL, "--state-dir", str(stage.state), "drain", node.name]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        until("it waits", lambda: "moving" in (process.stderr.readline() if process.stderr else ""))
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    until("the controller has emptied the node", lambda: not _tasks_on(swarm, stage, node))
    until("and left it to Swarm", lambda: _availability(swarm, node) == "drain")
    assert f"node {node.name} is drained" in stage.vaultctl("drain", node.name).stderr
    assert len(stage.answering()) == REPLICAS
    stage.vaultctl("uncordon", node.name)
