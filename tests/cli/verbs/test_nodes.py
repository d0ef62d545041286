"""`get nodes` and `describe node`: the machines of an engine as kubectl shows Nodes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from reconciler.api import VaultService
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.cli.session import Session
from reconciler.engines.nodes import Availability
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.controller.loop.gateways import apply_gateway
from tests.web.kube.instances import FakeEngine, FakeInstances, FakeNodes, instance, node

Ask = Callable[..., Result]


@pytest.fixture
def ask(vaultctl: Callable[..., Result], state: Path) -> Ask:
    """vaultctl with an engine of two nodes."""
    nodes = FakeNodes(
        [
            node("node1", labels={"zone": "a"}, address="10.0.0.1", since=None),
            node("node2", is_manager=False, availability=Availability.PAUSE, labels={"zone": "b"}),
        ]
    )
    found = [
        instance("vault-files-web-1", node="node1"),
        instance("vault-files-db", node="node2", is_pinned=True),
    ]
    session = Session(state_dir=state)
    session.application.engine = FakeEngine(FakeInstances(found), nodes)  # type: ignore[assignment]
    return lambda *words: vaultctl(*words, session=session)


def test_the_table_has_the_columns_of_kubectl(ask: Ask) -> None:
    lines = ask("get", "nodes").stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert lines[1].split()[:3] == ["node1", "Ready", "control-plane"]
    assert lines[2].split()[:3] == ["node2", "Ready,SchedulingDisabled", "worker"]
    assert ask("get", "no", "node2", "--no-headers").stdout.split()[0] == "node2"
    assert ask("get", "nodes", "-o", "name").stdout == "node/node1\nnode/node2\n"


def test_more_columns_labels_and_selectors(ask: Ask) -> None:
    wide = ask("get", "node/node1", "-o", "wide").stdout.splitlines()
    assert wide[0].split()[5:] == ["INTERNAL-IP", "ZONE", "OS-IMAGE", "PLATFORM", "ENGINE", "AVAILABILITY"]
    assert "10.0.0.1" in wide[1]
    assert "docker://26" in wide[1]
    assert wide[1].endswith("active")
    labelled = ask("get", "nodes", "-l", "zone=b", "-L", "zone", "--show-labels").stdout.splitlines()
    assert labelled[0].split()[-2:] == ["ZONE", "LABELS"]
    assert [line.split()[0] for line in labelled[1:]] == ["node2"]
    backwards = ask("get", "nodes", "--sort-by", ".metadata.labels.zone", "-o", "name").stdout
    assert backwards == "node/node1\nnode/node2\n"


def test_documents_are_those_of_the_api(ask: Ask) -> None:
    found = json.loads(ask("get", "node", "node2", "-o", "json").stdout)
    assert (found["kind"], found["metadata"]["name"]) == ("Node", "node2")
    assert found["spec"] == {"unschedulable": True}
    everything = json.loads(ask("get", "nodes", "-o", "json").stdout)
    assert [each["metadata"]["name"] for each in everything["items"]] == ["node1", "node2"]


def test_one_that_is_not_there_is_told_with_those_that_are(ask: Ask) -> None:
    assert "there is no node 'x'; there are: node1, node2" in ask("get", "nodes", "x").stderr
    assert "there is no node 'node9'; did you mean 'node" in ask("describe", "node", "node9").stderr
    assert "nodes are not watched" in ask("get", "nodes", "-w").stderr


def test_a_page_about_one_says_what_runs_there(ask: Ask) -> None:
    page = ask("describe", "node", "node2").stdout
    assert "Ready,SchedulingDisabled" in page
    assert "zone=b" in page
    assert "vault-files-db" in page
    assert "vault-files-web-1" not in page
    assert "vault-shop_data" in page


def test_a_service_that_is_called_like_nodes_is_meant_by_its_name(
    ask: Ask, objects: ObjectStore, make_service: Callable[..., VaultService], origin: Origin
) -> None:
    objects.apply(make_service("nodes"), origin)
    assert ask("get", "nodes").stdout.splitlines()[1].split()[1] == "whoami"
    assert ask("get", "no").stdout.splitlines()[1].startswith("node1")


def test_a_way_in_that_is_drained_serves_on(ask: Ask, state: Path) -> None:
    apply_gateway(ObjectStore(state).of(VAULT_GATEWAY), "edge", {"zone": "b"})
    said = ask("drain", "node2").stderr
    assert "node2 is a way in of the gateway edge, which serves on there" in said
    assert "node node2 has no instances left; HAProxy serves on there" in said
    refused = ask("drain", "node2", "--stop-pinned")
    assert refused.exit_code == 1
    assert "--stop-pinned would end the agent there" in refused.stderr


def test_another_node_that_is_drained_is_left_to_swarm(ask: Ask) -> None:
    said = ask("drain", "node2").stderr
    assert "is a way in" not in said
    assert "node node2 is drained" in said
