"""A node that the others no longer reach: what metrics, checks and lists say of it, and that others take its place."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence

import pytest

from tests.e2e.proof import REPLICAS
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory, Node
from tests.swarm.ways_in import with_front_there

pytestmark = [pytest.mark.docker, pytest.mark.turns]


@pytest.fixture
def stage(swarm: Laboratory) -> Iterator[Stage]:
    """Three replicas, and a controller on the first node."""
    with with_front_there(swarm) as stage:
        yield stage


def test_a_node_that_is_cut_off_is_told_by_metrics_and_checks(swarm: Laboratory, stage: Stage) -> None:
    node = swarm.nodes[2]
    until("metrics tell of all nodes", lambda: _metric(stage, f'vault_node_up{{node="{node.name}"}}') == 1)
    assert _metric(stage, "vault_swarm_managers_reachable") == len(swarm.nodes)
    findings = _doctor(stage)
    assert findings["swarm: quorum"] == ("ok", "3 managers, of which 1 may fail")
    assert findings["swarm: nodes"] == ("ok", "3 are up")
    assert findings["swarm: ports"][0] == findings["swarm: MTU"][0] == findings["swarm: clocks"][0] == "ok"
    _link(node, "down")
    try:
        until("it is down", lambda: _metric(stage, f'vault_node_up{{node="{node.name}"}}') == 0)
        until("others have all replicas", lambda: _ready_on(stage, swarm.nodes[:2]) == REPLICAS)
        assert _metric(stage, "vault_swarm_managers_reachable") == len(swarm.nodes) - 1
        findings = _doctor(stage)
        assert findings["swarm: quorum"] == ("fail", f"2 of 3 managers reach each other; away: {node.name}")
        assert findings["swarm: nodes"][1].startswith(f"{node.name} is down")
        listed = stage.vaultctl("get", "nodes", node.name, "--no-headers").stdout
        assert listed.split()[:2] == [node.name, "NotReady"]
        assert len(stage.answering()) == REPLICAS
    finally:
        _link(node, "up")
    until("it is up", lambda: _metric(stage, f'vault_node_up{{node="{node.name}"}}') == 1)


def _link(node: Node, state: str) -> None:
    words = ["ip", "-n", node.namespace, "link", "set", "eth0", state]
    subprocess.run(words, check=True, timeout=30)


def _doctor(stage: Stage) -> dict[str, tuple[str, str]]:
    """The level and the message of each check; of several findings the last one."""
    found = json.loads(stage.vaultctl("doctor", "-o", "json", code=None).stdout)
    return {each["check"]: (each["level"], each["message"]) for each in found}


def _metric(stage: Stage, series: str) -> float | None:
    """The value of a series that the controller exposes."""
    (url,) = re.findall(r"metrics and health on (\S+)", (stage.root / "controller.log").read_text())
    with urllib.request.urlopen(f"{url.rstrip('/')}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} ")), None)


def _ready_on(stage: Stage, nodes: Sequence[Node]) -> float:
    names = [f'vault_node_instances{{node="{node.name}",state="ready"}}' for node in nodes]
    return sum(_metric(stage, name) or 0 for name in names)
