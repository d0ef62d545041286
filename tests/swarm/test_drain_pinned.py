"""The controller's own node is emptied: what has its data there stays until it is told to stop, and all else moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.proof import LONG_HOLD, REPLICAS, harsh_stage, under_load
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory
from tests.swarm.ways_in import on_the_first_node, opened_afterwards, removed_afterwards

pytestmark = [pytest.mark.docker, pytest.mark.turns]

PLUGINS = Path(__file__).parents[1] / "e2e" / "plugins"


@pytest.fixture
def stage(swarm: Laboratory) -> Iterator[Stage]:
    """Three replicas, a cache and a store with a volume, all on the controller's node."""
    with (
        on_the_first_node(swarm),
        harsh_stage(plugin="shelf", **LONG_HOLD) as stage,
        removed_afterwards(swarm, stage),
        opened_afterwards(swarm),
    ):
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        for node in swarm.nodes[1:]:
            swarm.first.docker("node", "update", "--availability", "pause", node.name)
        with stage.controller():
            stage.converged()
            for node in swarm.nodes[1:]:
                stage.vaultctl("uncordon", node.name)
            yield stage


def _here(swarm: Laboratory, stage: Stage) -> list[str]:
    """The instances that run on the controller's node."""
    words = ("stack", "ps", "--no-trunc", "--filter", "desired-state=running")
    rows = swarm.first.docker(*words, "--format", "{{.Node}} {{.Name}} {{.CurrentState}}", stage.project)
    found = [row.split() for row in rows.splitlines()]
    return sorted(
        name.rpartition(".")[0].removeprefix(f"{stage.project}-")
        for node, name, state, *_ in found
        if node == swarm.first.name and state == "Running"
    )


def test_what_is_pinned_stays_and_all_else_moves_from_the_controllers_node(
    swarm: Laboratory, stage: Stage
) -> None:
    name = swarm.first.name
    assert len(_here(swarm, stage)) == REPLICAS + 2
    with under_load(stage) as load:
        done = stage.vaultctl("drain", name, "--timeout", "170s", code=1)
        stage.converged()
    print(f"{len(load.shots)} requests in {load.seconds:.1f} s, none lost; slowest {load.slowest:.2f} s")
    assert f"they can run nowhere else: {stage.project}-store-1" in done.stderr
    assert _here(swarm, stage) == ["store-1"]
    assert "store-1" in stage.vaultctl("describe", "node", name).stdout

    stopped = stage.vaultctl("drain", name, "--stop-pinned", "--timeout", "60s")
    assert f"{name} is drained" in stopped.stderr
    until("the store is stopped", lambda: not _here(swarm, stage))
    stage.vaultctl("uncordon", name)
    until("the store is back, where its data is", lambda: _here(swarm, stage) == ["store-1"])
    stage.converged()
    assert len(stage.answering()) == REPLICAS
