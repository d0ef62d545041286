"""A service on three nodes, by `vaultctl run --engine swarm`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from tests.e2e.proof import NEW_VERSION, REPLICAS, runs_version, under_load
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory
from tests.swarm.ways_in import with_front_there

pytestmark = [pytest.mark.docker, pytest.mark.turns]


@pytest.fixture
def stage(swarm: Laboratory) -> Iterator[Stage]:
    """Three replicas that exit at once on SIGTERM, and a controller on the first node."""
    with with_front_there(swarm) as stage:
        yield stage


def _tasks(swarm: Laboratory, stage: Stage) -> list[Mapping[str, Any]]:
    """The tasks that Swarm runs for a service."""
    rows = swarm.first.docker(
        "stack", "ps", "--format", "json", "--filter", "desired-state=running", stage.project
    )
    return [json.loads(row) for row in rows.splitlines()]


def test_replicas_run_on_several_nodes_and_answer_through_the_front_door(
    swarm: Laboratory, stage: Stage
) -> None:
    tasks = _tasks(swarm, stage)
    # On each of the three, unless Swarm takes long to place one: then the next goes wherever Swarm puts it.
    assert len({task["Node"] for task in tasks}) > 1
    assert len(stage.answering()) == REPLICAS
    stage.vaultctl("diff", "-f", str(stage.manifest))
    stage.vaultctl("logs", stage.name)


def test_what_dies_is_replaced_by_swarm_or_by_the_controller(swarm: Laboratory, stage: Stage) -> None:
    name = f"{stage.project}-whoami-1"
    found = swarm.container_of(name)
    assert found is not None
    node, container = found
    node.docker("kill", container)
    until("it has another container, or is gone", lambda: swarm.container_of(name) != found)
    until("all three serve", lambda: _all_serve(stage))
    stage.converged()
    assert len(_tasks(swarm, stage)) == REPLICAS


def test_a_change_and_a_rotation_under_load_lose_nothing(swarm: Laboratory, stage: Stage) -> None:
    before = {task["ID"] for task in _tasks(swarm, stage)}
    with under_load(stage):
        stage.write(**NEW_VERSION)
        stage.converged()
        changed = {task["ID"] for task in _tasks(swarm, stage)}
        stage.vaultctl("rotate", stage.name)
        stage.converged()
    assert runs_version(stage)
    rotated = {task["ID"] for task in _tasks(swarm, stage)}
    assert len(rotated) == REPLICAS
    assert before.isdisjoint(changed)
    assert changed.isdisjoint(rotated)


def _all_serve(stage: Stage) -> bool:
    with suppress(AssertionError, OSError):
        return len(stage.answering(30)) == REPLICAS
    return False
