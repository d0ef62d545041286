"""Whole passes over services whose HAProxies are behind an agent: nothing is lost, also while the agent is away."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from reconciler.api import find_condition
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.cli.agent_serving import AgentDirectory
from reconciler.proxy.haproxy.steps import ANSWER_SECONDS
from reconciler.web.agent.enrolment import enrol, enrolment_app, enrolment_tls
from reconciler.web.server import Server
from reconciler.wiring.agents import AgentLines
from tests.e2e.proof import NEW_VERSION, harsh_stage, runs_version, under_load
from tests.e2e.stage import VAULTCTL, Stage, free_port
from tests.e2e.waiting import PATIENCE, until

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]

NODE = "node-2"
CONTROLLER = [sys.executable, "-m", "tests.e2e.through_agent", NODE]


@dataclass
class Distant:
    """An agent whose sites are those of a stage."""

    stage: Stage

    def __post_init__(self) -> None:
        self.port = free_port()
        self.home = self.stage.root / "node"
        self.stage.state.mkdir(exist_ok=True)
        lines = AgentLines(self.stage.state, lambda: datetime.now(UTC))
        token = lines.agents.invite(NODE, f"127.0.0.1:{self.port}", lines.pin())
        app = enrolment_app(lines.directory, lines.agents, lambda: datetime.now(UTC))
        with Server(app, "127.0.0.1", 0, enrolment_tls(lines.directory)) as server:
            enrol(AgentDirectory(self.home).identity, "127.0.0.1", server.port, token)
        for kind in ("services", "gateways"):
            (self.stage.state / kind).mkdir(exist_ok=True)
            (AgentDirectory(self.home).path / kind).symlink_to(self.stage.state / kind)

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """The agent, which listens when the block begins."""
        log = self.home.with_suffix(".log")
        words = ["agent", "run", "--state-dir", str(self.home), "--listen", f"127.0.0.1:{self.port}"]
        with log.open("wb") as stream:
            process = subprocess.Popen([*VAULTCTL, *words], stdout=stream, stderr=stream)
        try:
            until("it listens", lambda: "agent of node" in log.read_text())
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def told(stage: Stage) -> str:
    """What the conditions of the service say, or of the gateway that has the HAProxies."""
    objects = stage.application.objects
    if stage.gateway:
        conditions = objects.of(VAULT_GATEWAY).status(stage.gateway).conditions
    else:
        conditions = objects.status(stage.name).conditions
    return " | ".join(
        each.message for kind in ("Ready", "Reconciling") if (each := find_condition(conditions, kind))
    )


@pytest.mark.parametrize("routed", [False, True])
def test_a_rollout_and_a_reload_through_an_agent_lose_nothing(routed: bool) -> None:
    with harsh_stage(routed=routed) as stage:
        distant = Distant(stage)
        with distant.running(), stage.controller(CONTROLLER):
            stage.converged()
            before = set(stage.replicas())
            with under_load(stage):
                stage.write(**NEW_VERSION)
                stage.converged()
            assert runs_version(stage)
            assert before.isdisjoint(stage.replicas())


@pytest.mark.parametrize("routed", [False, True])
def test_an_agent_that_is_killed_in_mid_rollout_delays_it_and_loses_nothing(routed: bool) -> None:
    with harsh_stage(routed=routed) as stage:
        distant = Distant(stage)
        with stage.controller(CONTROLLER):
            with distant.running() as agent:
                stage.converged()
                before, proxies = set(stage.replicas()), stage.proxies()
                with under_load(stage) as load:
                    stage.write(**NEW_VERSION)
                    until("a new replica is there", lambda: set(stage.replicas()) - before)
                    agent.send_signal(signal.SIGKILL)
                    agent.wait(PATIENCE)
                    until("it is told", lambda: "does not answer" in told(stage))
                    served = len(load.shots)
                    ended = time.monotonic() + 1.5 * ANSWER_SECONDS
                    until("it was away for long", lambda: time.monotonic() > ended)
                    assert len(load.shots) > served
                    assert stage.proxies() == proxies, "they serve"
                    with distant.running():
                        stage.converged()
            assert runs_version(stage)
            assert before.isdisjoint(stage.replicas())
