"""The engines of all nodes are replaced by a newer version, one node after the other, while requests come: none is lost."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.chaos.machines import ENGINES_UPGRADED, tell
from tests.e2e.load import Load
from tests.e2e.proof import HARSH, NEW_VERSION, runs_version
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory, Node, laboratory
from tests.swarm.ways_in import on_all_nodes

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(900)]

ROOT: Final = Path(__file__).parents[2]
IMAGES: Final = ("vault-reconciler/whoami:latest", "haproxy:3.0")
RATE: Final = 330.0
NEWER: Final = "dockerd"
UNPACK_SECONDS: Final = 300.0
INGRESS: Final = "ingress"


@pytest.fixture
def lab() -> Iterator[Laboratory]:
    """A Swarm whose nodes have an older engine, and take requests."""
    older = subprocess.run(
        ["scripts/older-engine"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=UNPACK_SECONDS
    )
    with laboratory(IMAGES, engine=older.stdout.strip()) as made:
        for node in made.nodes:
            made.first.docker("node", "update", "--label-add", f"{INGRESS}=yes", node.name)
        yield made


def version(node: Node) -> str:
    return node.docker("version", "--format", "{{.Server.Version}}")


def upgrade(node: Node, lab: Laboratory, stage: Stage) -> None:
    """What docs/swarm.md says: no requests by this node, no instances on it, another engine, and all of it back."""
    lab.first.docker("node", "update", "--label-rm", INGRESS, node.name)
    until(
        f"the gateway has left {node.name}",
        lambda: (
            not node.docker(
                "ps", "--quiet", f"--filter=label=com.docker.compose.project={stage.front_project}"
            )
        ),
    )
    stage.vaultctl("drain", node.name, "--timeout", "120s")
    node.end()
    node.engine = NEWER
    node.start()
    until("the Swarm is whole", lab.is_whole)
    stage.vaultctl("uncordon", node.name)
    lab.first.docker("node", "update", "--label-add", f"{INGRESS}=yes", node.name)
    until(f"{node.name} takes requests", lambda: stage.gateway_ready() and _serves(node, stage))


def _serves(node: Node, stage: Stage) -> bool:
    with Load(stage.port, 20.0, addresses=(node.address,), patience=5.0) as load:
        pass
    return bool(load.shots) and not load.lost


def test_engines_are_upgraded_node_by_node(lab: Laboratory) -> None:
    before = {version(node) for node in lab.nodes}
    with on_all_nodes(lab, {INGRESS: "yes"}, env=HARSH) as stage:
        stage.write(env={"WHOAMI_LEDGER_DIR": str(stage.ledger)})
        stage.converged()
        addresses = {node.name: node.address for node in lab.nodes}
        with Load(stage.port, RATE, addresses=tuple(addresses.values())) as load:
            began = time.monotonic()
            for node in lab.nodes:
                load.through(*(address for name, address in addresses.items() if name != node.name))
                upgrade(node, lab, stage)
                load.through(*addresses.values())
            upgraded = time.monotonic()
            stage.write(**NEW_VERSION)
            stage.converged()
            healed = time.monotonic()
        tell(ENGINES_UPGRADED, load, stage, harm=began, over=upgraded, healed=healed)
        assert runs_version(stage)
    after = {version(node) for node in lab.nodes}
    assert len(after) == 1
    assert not before & after
