"""A controller that is killed where it deploys agents leaves something that the next one goes on from: on real engines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Final

import pytest

from tests.e2e.mortal import When
from tests.e2e.proof import harsh_stage
from tests.e2e.stage import Stage
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory
from tests.swarm.ways_in import AGENT_IMAGE, AGENTS, removed_afterwards, with_agents

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(900)]

FIRST_SECONDS: Final = 300.0


@pytest.fixture
def stage(swarm: Laboratory) -> Iterator[Stage]:
    """A gateway on all nodes, of which none has an agent yet."""
    swarm.load(AGENT_IMAGE)
    with (
        with_agents(swarm),
        harsh_stage(routed=True, gateway={"nodeSelector": {}}) as stage,
        removed_afterwards(swarm, stage),
    ):
        yield stage


def deployed(swarm: Laboratory) -> list[str]:
    """The services of agents, each with its version, which another deployment would change."""
    label = f"--filter=label=com.docker.stack.namespace={AGENTS}"
    ids = swarm.first.docker("service", "ls", "--quiet", label).split()
    words = ("service", "inspect", "--format", "{{.Spec.Name}} {{.Version.Index}}", *ids)
    return sorted(swarm.first.docker(*words).splitlines()) if ids else []


def was_killed(process: subprocess.Popen[str]) -> bool:
    return process.poll() == -signal.SIGKILL


def test_agents_are_deployed_once_and_enrolled_by_the_next_controller(
    swarm: Laboratory, stage: Stage
) -> None:
    for when in When:
        words = (sys.executable, "-m", "tests.e2e.mortal", when, "DeployAgent")
        with stage.controller(words) as mortal:
            until(f"killed {when} it", partial(was_killed, mortal))
        if when is When.BEFORE:
            assert deployed(swarm) == []
    left = deployed(swarm)
    assert left, "the worst moment: an agent runs, and none of its controllers knows more than its token"
    with stage.controller():
        stage.converged(FIRST_SECONDS)
        until("the gateway is ready", stage.gateway_ready)
    assert set(left) <= set(deployed(swarm)), "what was deployed is not deployed again"
    assert len(deployed(swarm)) == len(swarm.nodes)
    rows = json.loads(stage.vaultctl("agent", "list", "-o", "json").stdout)
    assert sorted(each["node"] for each in rows if each["answers"]) == [node.name for node in swarm.nodes]
