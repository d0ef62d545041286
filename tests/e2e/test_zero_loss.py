"""The promise, case by case: whatever changes, no request is lost and none that must not be is run twice.

What concerns replicas is tried with a port and with a route: behind a HAProxy of the service's own, and behind a gateway.
What concerns that HAProxy is tried on the network of the host as well.
Each case runs under load from clients that never retry, at more than 200 requests a second through one published
port. What they were answered is then compared with what the replicas wrote down.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from tests.e2e.docker_cli import docker, inspect
from tests.e2e.load import RATE, SLOW_MS, Load, read_ledger
from tests.e2e.proof import (
    BOOT_SECONDS,
    LONG_HOLD,
    NEW_VERSION,
    REPLICAS,
    harsh_stage,
    runs_version,
    under_load,
)
from tests.e2e.relay import Relay
from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import until

SECOND_PROXY_IMAGE: Final = "vault-reconciler/haproxy-tests:again"
QUIET_RATE: Final = 25.0
"""Requests a second of which so few meet a dead replica that their errors do not take it out of the pool."""

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]

# A change of the spec, and nothing else


@dataclass(frozen=True)
class Change:
    """A change of the spec, how one sees that it came true, and what the spec says besides from the beginning.

    `replaces` says whether all replicas are to be others afterwards; otherwise those that stay are to be the same.
    `ways` are those in which requests come to it: through a HAProxy of its own, which opens the port of the host itself, or
    through a gateway.
    """

    name: str
    spec: dict[str, Any]
    seen: Callable[[Stage], bool]
    before: dict[str, Any] = field(default_factory=dict)
    replaces: bool = False
    ways: tuple[str, ...] = ("port", "route")


def _budget(surge: int, unavailable: int) -> dict[str, Any]:
    return {"strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}


def _all_serve(stage: Stage) -> bool:
    return stage.servers_up() == REPLICAS


def _runs_second_proxy(stage: Stage) -> bool:
    return {inspect(proxy)["Config"]["Image"] for proxy in stage.proxies()} == {SECOND_PROXY_IMAGE}


NEW_PROXY: Final = {"proxy": {"image": SECOND_PROXY_IMAGE}}
PAIR: Final = {"proxy": {"replicas": 2}}
TWO: Final = {"replicas": 2}

OF_FRONT: Final = ("port", "host")

CHANGES: Final = (
    Change(
        "image",
        {"env": {"WHOAMI_IMAGE": "vault-reconciler/whoami:2", "VERSION": None}},
        runs_version,
        replaces=True,
    ),
    Change("environment", NEW_VERSION, runs_version, replaces=True, ways=("port", "host", "route")),
    Change("one by one", NEW_VERSION, runs_version, _budget(1, 0) | TWO, replaces=True),
    Change("without surge", NEW_VERSION, runs_version, _budget(0, 1) | TWO, replaces=True),
    Change("scale up", {"replicas": 5}, lambda stage: stage.servers_up() == 5),
    Change("scale down", {"replicas": 1}, lambda stage: stage.servers_up() == 1),
    Change("restart", {"restartedAt": "2026-01-01T00:00:00Z"}, _all_serve, replaces=True),
    Change("port of the application", {"ports": {"container": 9000}}, _all_serve, replaces=True),
    Change("health path", {"healthcheck": {"path": "/"}}, _all_serve),
    Change("HAProxy image", NEW_PROXY, _runs_second_proxy, ways=OF_FRONT),
    Change("HAProxy image of a pair", NEW_PROXY, _runs_second_proxy, PAIR, ways=OF_FRONT),
    Change("a second HAProxy", PAIR, lambda stage: len(stage.proxies()) == 2, ways=OF_FRONT),
    Change(
        "one HAProxy less",
        {"proxy": {"replicas": 1}},
        lambda stage: len(stage.proxies()) == 1,
        PAIR,
        ways=OF_FRONT,
    ),
)


@pytest.fixture(params=["port", "route"])
def way(request: pytest.FixtureRequest) -> str:
    """How requests come to it."""
    return str(request.param)


def stage_of(way: str, **spec: Any) -> AbstractContextManager[Stage]:
    """A harsh stage that requests come to in this way."""
    if way == "host":
        spec["proxy"] = {"network": "host", **spec.get("proxy", {})}
    return harsh_stage(routed=way == "route", **spec)


@pytest.fixture
def harsh(way: str) -> Iterator[Stage]:
    """Three replicas that need a careful hand, behind a HAProxy of their own or behind a gateway."""
    with stage_of(way) as stage, stage.controller():
        stage.converged()
        yield stage


@pytest.mark.parametrize(
    ("change", "way"),
    [
        pytest.param(change, way, id=f"{change.name.replace(' ', '-')}-{way}")
        for change in CHANGES
        for way in change.ways
    ],
)
def test_a_change_of_the_spec(change: Change, way: str, second_proxy_image: None) -> None:
    with stage_of(way, **change.before) as stage, stage.controller():
        stage.converged()
        before = set(stage.replicas())
        with under_load(stage):
            stage.write(**change.spec)
            stage.converged()
        assert change.seen(stage)
        after = set(stage.replicas())
        assert before.isdisjoint(after) if change.replaces else before <= after or after <= before


def test_a_second_change_in_the_middle_of_the_first(harsh: Stage) -> None:
    with under_load(harsh):
        before = set(harsh.replicas())
        harsh.write(env={"VERSION": "2"})
        until("the first is under way", lambda: set(harsh.replicas()) - before)
        harsh.write(env={"VERSION": "3"}, replicas=2)
        harsh.converged()
    assert runs_version(harsh, "3")


def test_a_storm_of_reloads(harsh: Stage) -> None:
    with under_load(harsh):
        for number in range(6):
            harsh.write(healthcheck={"path": f"/?{number}"})
            harsh.converged()


def test_a_release_that_never_turns_healthy_is_given_up(harsh: Stage) -> None:
    harsh.write(strategy={"progressDeadlineSeconds": 6})
    harsh.converged()
    before = set(harsh.replicas())
    with under_load(harsh):
        harsh.write(env={"VERSION": "2", "FAIL": "unhealthy"})
        until("it is given up", lambda: _condition(harsh, "Degraded")["status"] == "True")
        until("only the good ones are left", lambda: set(harsh.replicas()) == before)
    assert runs_version(harsh, "1")


def test_an_apply_that_is_rolled_back_fails_and_says_so(harsh: Stage) -> None:
    harsh.write(strategy={"progressDeadlineSeconds": 6})
    harsh.converged()
    with under_load(harsh):
        harsh.write(env={"VERSION": "2", "FAIL": "unhealthy"})
        applied = harsh.apply("--timeout", "90s", code=1)
    assert "RolledBack" in applied.stderr
    assert runs_version(harsh, "1")


def test_a_release_that_does_not_start_is_given_up(harsh: Stage) -> None:
    harsh.write(strategy={"progressDeadlineSeconds": 10})
    harsh.converged()
    before = set(harsh.replicas())
    with under_load(harsh):
        harsh.write(env={"VERSION": "2", "FAIL": "exit"})
        until("it is given up", lambda: _condition(harsh, "Degraded")["status"] == "True")
        until("only the good ones are left", lambda: set(harsh.replicas()) == before)
    assert runs_version(harsh, "1")
    # What it said last is told where people look for the reason.
    assert "FAIL=exit: this release does not start" in harsh.vaultctl("describe", harsh.name).stdout


# Replicas that are replaced because of their age


def test_rotation(harsh: Stage) -> None:
    before = set(harsh.replicas())
    with under_load(harsh):
        harsh.write(rotation={"interval": "1s"})
        until("nobody is left of the first", lambda: not before & set(harsh.replicas()))
        harsh.write(rotation=None)
        harsh.converged()
    assert len(harsh.replicas()) == REPLICAS


def test_rotation_on_request(harsh: Stage) -> None:
    before = set(harsh.replicas())
    with under_load(harsh):
        harsh.write(rotatedAt=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        until("nobody is left of the first", lambda: not before & set(harsh.replicas()))
        harsh.converged()
    assert len(harsh.replicas()) == REPLICAS


def test_rotation_with_one_active(harsh: Stage) -> None:
    with under_load(harsh) as load:
        harsh.write(rotation={"interval": "2s", "mode": "single-active"})
        until("one serves at a time", lambda: harsh.servers_up() == 1)
        began = time.monotonic()
        until("several had their turn", lambda: len(load.replicas(since=began)) >= 3)


# Single writers: stopped before they are started, and requests wait


def test_recreate_of_a_single_replica_holds_requests(way: str) -> None:
    recreate = {"replicas": 1, "strategy": {"type": "Recreate"}, **LONG_HOLD}
    with stage_of(way, **recreate) as stage, stage.controller():
        stage.converged()
        with under_load(stage) as load:
            stage.write(**NEW_VERSION)
            stage.converged()
        assert runs_version(stage)
        assert load.slowest > BOOT_SECONDS, "nobody had to wait, so nothing was held"


# The way in


@pytest.mark.parametrize("way", OF_FRONT)
def test_a_port_that_moves_is_open_before_the_old_one_closes(harsh: Stage) -> None:
    former = harsh.port
    harsh.port = free_port()
    shut: list[float] = []
    done = threading.Event()

    def knock() -> None:
        while not done.is_set():
            # In this order: the old one may close between two looks, but then the new one has to be open.
            if not (_is_open(former) or _is_open(harsh.port)):
                shut.append(time.monotonic())

    knocking = threading.Thread(target=knock)
    knocking.start()
    try:
        harsh.write(ports={"http": harsh.port})
        harsh.converged()
        until("the old one is closed", lambda: not _is_open(former))
    finally:
        done.set()
        knocking.join()
    assert not shut
    assert len(harsh.answering()) == REPLICAS


def _is_open(port: int) -> bool:
    """Whether a request on this port is answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


# Deaths


@pytest.mark.parametrize(
    ("rate", "kills", "boot"), [(RATE, 1, BOOT_SECONDS), (QUIET_RATE, 4, 0.0)], ids=["busy", "quiet"]
)
def test_replicas_that_are_killed(rate: float, kills: int, boot: float) -> None:
    """What one was just running is lost with it, but no GET that waits for its answer or still connects."""
    with harsh_stage(env={"BOOT_SECONDS": str(boot)}) as stage, stage.controller():
        stage.converged()
        with Load(stage.port, rate=rate) as load:
            killed = dict(_kill_a_replica(stage) for _ in range(kills))
        ledger = read_ledger(stage.ledger)
    for shot in load.lost:
        assert shot.is_bound, str(shot)
        assert any(shot.began - 1 <= moment <= shot.ended for moment in killed.values()), str(shot)
        assert shot.replica in (*killed, ""), str(shot)
    assert len(load.lost) < kills * SLOW_MS / 1000 * 10
    ids = [shot.id for shot in load.shots if shot.kind.method == "POST"]
    assert not [each for each in ids if ledger.count(each) > 1]


def _kill_a_replica(stage: Stage) -> tuple[str, float]:
    """The host name of one that has been replaced since, and when it was killed, in monotonic seconds."""
    victim, killed = stage.replicas()[0], time.monotonic()
    hostname = str(inspect(victim)["Config"]["Hostname"])
    docker("kill", "--signal=KILL", victim)
    until(
        "another took its place",
        lambda: victim not in stage.replicas() and len(stage.replicas()) == REPLICAS,
    )
    stage.converged()
    return hostname, killed


@pytest.mark.parametrize("way", OF_FRONT)
def test_one_haproxy_of_a_pair_that_is_killed(way: str) -> None:
    """Only what is in flight through it is lost."""
    with stage_of(way, proxy={"replicas": 2}) as stage, stage.controller():
        stage.converged()
        victim = stage.proxies()[0]
        with Load(stage.port) as load:
            killed = time.monotonic()
            docker("kill", "--signal=KILL", victim)
            died = time.monotonic()
            until("a pair again", lambda: len(stage.proxies()) == 2)
            stage.converged()
        assert any(shot.began > died for shot in load.shots)
        for shot in load.lost:
            assert shot.began <= died, f"{shot}, begun {shot.began - killed:.2f} s after the kill"


# Events that never arrive


def test_engine_events_that_are_lost() -> None:
    """A cut stream says that something was missed, and the controller looks for itself."""
    with harsh_stage() as stage:
        relay = Relay(stage.root / "engine.sock")
        stage.env["DOCKER_HOST"] = relay.url
        with closing(relay), stage.controller():
            stage.converged()
            with under_load(stage):
                relay.withhold_events()
                stage.write(**NEW_VERSION)
                until("events were lost", lambda: relay.withheld > REPLICAS)
                relay.cut_events()
                stage.converged()
            assert runs_version(stage)


# What the cases look at


@pytest.fixture(scope="module")
def second_proxy_image() -> Iterator[None]:
    """Another name for the same image; a new image to everybody who compares names."""
    docker("tag", "haproxy:3.0", SECOND_PROXY_IMAGE)
    yield
    docker("rmi", SECOND_PROXY_IMAGE, check=False)


def _condition(stage: Stage, kind: str) -> dict[str, Any]:
    conditions = stage.application.objects.status(stage.name).conditions
    return next((c.model_dump() for c in conditions if c.type == kind), {"status": "Unknown", "message": ""})
