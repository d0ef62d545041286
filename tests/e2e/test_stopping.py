"""A service that is stopped and started again: nothing of it runs meanwhile, and what it had is there afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from reconciler.api import find_condition
from tests.e2e.docker_cli import containers
from tests.e2e.load import Load
from tests.e2e.proof import harsh_stage
from tests.e2e.stage import Stage
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.turns]

AT_ONCE = 1.0
"""Seconds within which a stopped service answers; a held request takes as long as the hold."""


@pytest.fixture(params=[False, True], ids=["port", "route"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A service that serves, and a controller that goes on running."""
    with harsh_stage(routed=request.param, replicas=2) as made, made.controller():
        made.converged()
        yield made


@pytest.mark.promise
def test_nothing_is_lost_before_a_stop_and_after_a_start(stage: Stage) -> None:
    with Load(stage.port) as load:
        time.sleep(1)
        stops = time.monotonic()
        stage.write(replicas=0)
        stage.converged()
        stopped = time.monotonic()
        assert stage.replicas() == []
        time.sleep(2)
        starts = time.monotonic()
        stage.write(replicas=2)
        stage.converged()
        started = time.monotonic()
    lost = [shot for shot in load.shots if shot.lost]
    assert not [str(each) for each in lost if not stops <= each.began <= started]
    meanwhile = [shot for shot in load.shots if stopped <= shot.began < starts]
    assert meanwhile
    assert [str(each) for each in meanwhile if "503" not in each.lost or each.seconds > AT_ONCE] == []


def test_a_verb_stops_and_another_one_starts_without_a_controller() -> None:
    with harsh_stage(replicas=2) as stage:
        stage.apply()
        stage.vaultctl("stop", stage.name)
        ready = find_condition(stage.application.objects.status(stage.name).conditions, "Ready")
        assert ready is not None
        assert (ready.status, ready.reason) == ("True", "Stopped")
        assert "0/0" in stage.vaultctl("get", stage.name).stdout
        status, _, body = stage.get()
        assert status == 503
        assert b"The service is stopped" in body
        until("no replica is left", lambda: not containers(stage.project, "whoami", everything=True))
        assert stage.vaultctl("apply", "-f", str(stage.manifest), "--wait").returncode == 0
        stage.vaultctl("start", stage.name)
        assert len(stage.answering()) == 2
        assert stage.vaultctl("start", stage.name).stdout.count("nothing to change") == 1
