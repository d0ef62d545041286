"""The clock of one node is off by an hour while requests come and releases are rolled out: none is lost.

What could break is what compares moments of two nodes: certificates and requests between controller and agents, the lease,
deadlines of a rollout, ages of instances.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime
from functools import partial
from typing import Final

import pytest

from reconciler.api import find_condition
from tests.chaos.machines import CLOCK_OFF, tell
from tests.e2e.load import Load
from tests.e2e.proof import HARSH, runs_version
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.swarm.clocks import shifted
from tests.swarm.laboratory import Laboratory, Node, processes_of
from tests.swarm.ways_in import on_all_nodes

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(600)]

RATE: Final = 330.0
HOUR: Final = 3600
OFF_SECONDS: Final = 20.0
"""Longer than the lease, and than each deadline of a request."""
LEASE: Final = "the lease of the Swarm"
"""What the log says whenever the lease changes."""
ROTATION: Final = {"rotation": {"interval": "50m"}}
"""An instance whose age is an hour wrong would be replaced at once."""


def test_the_clock_of_a_node_is_an_hour_off(swarm: Laboratory) -> None:
    with on_all_nodes(swarm, env=HARSH, **ROTATION) as stage:
        stage.write(env={"WHOAMI_LEDGER_DIR": str(stage.ledger)})
        stage.converged()
        leases = (stage.root / "controller.log").read_text().count(LEASE)
        with Load(stage.port, RATE, addresses=tuple(node.address for node in swarm.nodes)) as load:
            began = time.monotonic()
            versions = iter("234567")
            for node in (swarm.nodes[-1], swarm.first):
                for seconds in (HOUR, -HOUR):
                    with shifted(seconds, partial(_processes, node, swarm, stage)):
                        assert _ahead(node) == pytest.approx(seconds, abs=60)
                        _roll(stage, next(versions))
            right = time.monotonic()
            _roll(stage, next(versions))
            healed = time.monotonic()
        tell(CLOCK_OFF, load, stage, harm=began, over=right, healed=healed)
        log = (stage.root / "controller.log").read_text()
        assert log.count(LEASE) == leases, "the lease was not held all the time"
        assert "(rotation" not in log, "an instance was taken for older than it is"


def _ahead(node: Node) -> float:
    """How many seconds the clock of its engine is ahead of ours."""
    said = datetime.fromisoformat(node.docker("info", "--format", "{{.SystemTime}}"))
    return (said - datetime.now(UTC)).total_seconds()


def _processes(node: Node, swarm: Laboratory, stage: Stage) -> Collection[int]:
    """All of a node: its engine, its containers, and the controller where that runs."""
    roots = (node.root, stage.root) if node is swarm.first else (node.root,)
    return processes_of(*roots)


def _roll(stage: Stage, version: str) -> None:
    """A release with these clocks; each agent answers before and after it."""
    began = time.monotonic()
    _all_answer(stage)
    stage.write(env={"VERSION": version})
    # By what the controller says: with the clock of this process, instances of another time would be due for rotation.
    until(f"version {version} is everywhere", lambda: _has_reached(stage, version))
    assert runs_version(stage, version)
    time.sleep(max(0.0, OFF_SECONDS - (time.monotonic() - began)))
    _all_answer(stage)


def _has_reached(stage: Stage, version: str) -> bool:
    objects = stage.application.objects
    stored, status = objects.get(stage.name), objects.status(stage.name)
    if stored is None or stored.resource.spec.env.get("VERSION") != version:
        return False
    ready, busy = (find_condition(status.conditions, each) for each in ("Ready", "Reconciling"))
    if ready is None or busy is None or ready.observed_generation != stored.generation:
        return False
    return (ready.status, busy.status) == ("True", "False")


def _all_answer(stage: Stage) -> None:
    until("each agent answers", lambda: stage.vaultctl("agent", "list").stdout.count("Answers") == 3)
