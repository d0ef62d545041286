"""A HAProxy that does not answer the controller: one that serves is left alone, one that does not is replaced."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from reconciler.api import find_condition
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.proxy.haproxy.gateway.containers import project_of
from reconciler.proxy.haproxy.gateway.directory import read_slots
from reconciler.proxy.haproxy.steps import ANSWER_SECONDS
from tests.e2e.docker_cli import containers, docker
from tests.e2e.gateway_stage import GatewayStage, Requests, gateway_stage
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]

SILENCE = 3 * ANSWER_SECONDS
"""Seconds that a master is stopped: long enough for one that does not serve to be replaced."""


@pytest.fixture
def stage() -> Iterator[GatewayStage]:
    """A gateway with one service that is served."""
    with gateway_stage("published") as made:
        made.serve("one")
        with made.controller():
            until("ready", made.ready)
            made.start("one")
            until("it is served", lambda: made.serves("one"))
        yield made


def proxies(stage: GatewayStage) -> list[str]:
    return containers(project_of(stage.name), "haproxy")


def told(stage: GatewayStage) -> str:
    status = stage.application.objects.of(VAULT_GATEWAY).status(stage.name)
    ready = find_condition(status.conditions, "Ready")
    return ready.message if ready else ""


def test_one_whose_master_is_stopped_serves_and_is_left_alone(stage: GatewayStage) -> None:
    before = proxies(stage)
    with stage.controller():
        until("ready", stage.ready)
        with Requests(stage, "one", clients=2) as load:
            docker("kill", "--signal=STOP", *before)
            try:
                until("it is told", lambda: "serves, but does not answer the controller" in told(stage))
                began = time.monotonic()
                until("it was silent for long", lambda: time.monotonic() > began + SILENCE)
                assert proxies(stage) == before, stage.story()
            finally:
                docker("kill", "--signal=CONT", *before)
            until("ready", stage.ready)
    assert proxies(stage) == before
    assert set(load.answers) == {(200, "one")}, stage.story()


def test_one_whose_worker_is_stopped_is_replaced(stage: GatewayStage) -> None:
    (before,) = proxies(stage)
    (slot,) = read_slots(stage.site)
    worker = stage.runtime(slot).processes()[0].info.pid
    with stage.controller():
        until("ready", stage.ready)
        docker("exec", before, "sh", "-c", f"kill -STOP {worker}")
        until("another one serves", lambda: before not in proxies(stage) and stage.serves("one"))
        until("ready", stage.ready)
    assert len(proxies(stage)) == 1
