"""The judgement of one replica, from the line of a scene; the words are those of the rollout table."""

from __future__ import annotations

import pytest

from reconciler.core.assess.health import Replica
from reconciler.core.assess.instance import Phase
from tests.core.scenes import read_scene


def assessment(line: str, plugin: str = "web") -> Replica:
    scene = read_scene(f"about: one\nwish: {{plugin: {plugin}}}\nweb: ['web-1 {line}']")
    (replica,) = scene.assessment.replicas
    return replica


@pytest.mark.parametrize(
    ("line", "phase", "reason"),
    [
        ("@1 created", Phase.CREATED, ""),
        ("@1 starting age=5", Phase.WARMING, ""),
        ("@1 starting age=121", Phase.UNHEALTHY, "not ready by its deadline"),
        # The engine's clock may be a little ahead of ours; one that was set back is no excuse.
        ("@1 starting age=-5", Phase.WARMING, ""),
        ("@1 starting age=-3600", Phase.UNHEALTHY, "not ready by its deadline"),
        ("@1", Phase.READY, ""),
        ("@1 up", Phase.READY, ""),
        # Docker says healthy: what HAProxy thinks of it is HAProxy's matter.
        ("@1 down since=60", Phase.READY, ""),
        ("@1 unhealthy up", Phase.UNHEALTHY, "its health check fails"),
        ("@1 detached up", Phase.UNHEALTHY, "detached from network vault-net"),
        ("@1 paused", Phase.UNHEALTHY, "paused"),
        ("@1 paused stopping", Phase.STOPPING, ""),
        ("@1 stopping", Phase.STOPPING, ""),
        ("@1 removing", Phase.STOPPING, ""),
        ("@1 exited code=1", Phase.DEAD, "exited with code 1"),
        ("@1 dead code=137", Phase.DEAD, "exited with code 137"),
        ("@1 restarting code=2", Phase.DEAD, "exited with code 2"),
    ],
)
def test_phase(line: str, phase: Phase, reason: str) -> None:
    replica = assessment(line)
    assert (replica.phase, replica.reason) == (phase, reason)


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        ("@1", Phase.READY),
        ("@1 up", Phase.READY),
        ("@1 down since=60 age=5", Phase.WARMING),
        ("@1 down since=5", Phase.WARMING),
        ("@1 down since=11", Phase.UNHEALTHY),
        ("@1 drained since=60", Phase.READY),
    ],
)
def test_without_a_health_check_of_its_own_the_proxy_decides(line: str, phase: Phase) -> None:
    assert assessment(line, "plain").phase is phase


@pytest.mark.parametrize(
    ("line", "in_pool", "serving", "draining"),
    [
        ("@1", False, False, False),
        ("@1 up", True, True, False),
        ("@1 down", True, False, False),
        ("@1 drained", False, False, True),
        ("@1 up at=10.0.0.77:8000", False, False, False),
        ("@1 unhealthy up", True, False, False),
    ],
)
def test_its_place_in_the_pool(line: str, in_pool: bool, serving: bool, draining: bool) -> None:
    replica = assessment(line)
    assert (replica.in_pool, replica.serving, replica.draining) == (in_pool, serving, draining)


def test_it_is_available_once_it_has_proved_itself() -> None:
    assert assessment("@1 up since=9").available(9.0)
    assert not assessment("@1 up since=8").available(9.0)
    assert not assessment("@1 down since=60").available(0.0)
    # HAProxy sends it requests, so it counts, whatever Docker thinks of it.
    assert assessment("@1 unhealthy up").available(0.0)


def test_another_revision_is_not_current() -> None:
    assert assessment("@1 up").current
    assert not assessment("@2 up").current


def test_a_replica_of_a_service_that_is_gone_is_still_judged() -> None:
    scene = read_scene("about: one\nweb: [former-1 role=web up]")
    (replica,) = scene.assessment.replicas
    assert not replica.current
    assert replica.workload.replicas == 0
