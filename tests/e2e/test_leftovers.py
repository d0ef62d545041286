"""The question that tests of crashes and faults end with has an answer when there is something to be found."""

from __future__ import annotations

import pytest

from reconciler.controller.loop.lease import lease
from tests.e2e.docker_cli import PROJECT, SERVICE, docker
from tests.e2e.leftovers import left_overs
from tests.e2e.stage import Stage

pytestmark = pytest.mark.docker


def test_what_is_left_over_is_named(stage: Stage) -> None:
    stage.write(replicas=1)
    stage.apply()
    assert left_overs(stage) == []

    mark = f"--label={PROJECT}={stage.project}"
    docker("network", "create", mark, f"{stage.project}-stray")
    docker("volume", "create", mark, f"{stage.project}-stray")
    docker("create", mark, f"--label={SERVICE}=stray", "vault-reconciler/whoami:latest")
    (stage.state / "services" / stage.name / ".check-stray").mkdir()
    with lease(stage.state / "leases" / stage.name):
        found = left_overs(stage)
    assert [line for line in found if not line.startswith(("difference", "still to do"))] == [
        "container: 1 of stray instead of 0",
        f"network: 1 of {stage.project}-stray instead of 0",
        f"volume: 1 of {stage.project}-stray instead of 0",
        f"file: services/{stage.name}/.check-stray",
        f"lease: leases/{stage.name}",
    ]
