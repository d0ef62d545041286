"""The promise behind a gateway, for what concerns the gateway itself: its listeners, its pair, two services at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from tests.e2e.docker_cli import containers, docker
from tests.e2e.load import Load, read_ledger
from tests.e2e.neighbour import neighbour
from tests.e2e.proof import HARSH, NEW_VERSION, QUICK, harsh_stage, runs_version, under_load
from tests.e2e.stage import HOST, Stage, free_port
from tests.e2e.waiting import until
from tests.http_clients import counts, told

OTHER_HOST = "other.example.org"
CLOSED_SECONDS = 20.0
"""Longer than another container takes to publish the ports; on a quiet machine that is about a second."""

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]


def _with_another_listener(stage: Stage) -> int:
    """Have the gateway listen on another port as well; returns it."""
    other = free_port()
    listeners = [
        {"name": name, "port": port, "protocol": "HTTP"}
        for name, port in (("http", stage.port), ("more", other))
    ]
    stage.write_gateway(listeners=listeners)
    return other


def test_a_listener_that_is_added_on_the_host_loses_nothing() -> None:
    with harsh_stage(routed=True, gateway={"network": "host"}) as stage, stage.controller():
        stage.converged()
        before = containers(stage.front_project)
        with under_load(stage):
            other = _with_another_listener(stage)
            until("the gateway is ready", stage.gateway_ready)
        assert containers(stage.front_project) == before
        with Load(other) as load:
            pass
        assert load.shots
        assert not load.lost


def test_a_listener_that_is_added_to_published_ports_closes_them_for_some_seconds() -> None:
    """The engine publishes ports of a container when it is created, and two cannot publish the same one."""
    with harsh_stage(routed=True) as stage, stage.controller():
        stage.converged()
        (holder,) = containers(stage.front_project, "gateway")
        with Load(stage.port, patience=CLOSED_SECONDS) as load:
            changed = time.monotonic()
            other = _with_another_listener(stage)
            until("the gateway is ready", stage.gateway_ready)
            opened = time.monotonic()
        assert containers(stage.front_project, "gateway") != [holder]
        # What was under way when the ports were closed is lost, and what came until they were open again.
        late = [str(shot) for shot in load.lost if not changed - 3 < shot.began < opened]
        assert not late
        ids = [shot.id for shot in load.shots if shot.kind.method == "POST"]
        ledger = read_ledger(stage.ledger)
        assert not [each for each in ids if ledger.count(each) > 1]
        refused = [shot.began for shot in load.lost if shot.lost.startswith("ConnectionRefused")]
        print(
            f"{len(load.lost)} of {len(load.shots)} requests lost; refused for "
            f"{max(refused, default=0) - min(refused, default=0):.2f} s"
        )
        with Load(other) as load:
            pass
        assert load.shots
        assert not load.lost


@pytest.mark.parametrize("network", ["published", "host"])
def test_one_haproxy_of_a_gateways_pair_that_is_killed(network: str) -> None:
    """Only what is in flight through it is lost."""
    pair = {"network": network, "replicas": 2}
    with harsh_stage(routed=True, gateway=pair) as stage, stage.controller():
        stage.converged()
        until("a pair", lambda: len(stage.proxies()) == 2 and stage.gateway_ready())
        victim = stage.proxies()[0]
        with Load(stage.port) as load:
            docker("kill", "--signal=KILL", victim)
            died = time.monotonic()
            until("a pair again", lambda: len(stage.proxies()) == 2 and stage.gateway_ready())
            stage.converged()
        assert any(shot.began > died for shot in load.shots)
        for shot in load.lost:
            assert shot.began <= died, f"{shot}, begun {shot.began - died:.2f} s after the kill"
        ids = [shot.id for shot in load.shots if shot.kind.method == "POST"]
        ledger = read_ledger(stage.ledger)
        assert not [each for each in ids if ledger.count(each) > 1]


def test_two_services_that_are_rolled_out_at_once() -> None:
    with harsh_stage(routed=True) as stage, neighbour(stage, "b", OTHER_HOST) as other, stage.controller():
        environment = HARSH | {"WHOAMI_LEDGER_DIR": str(stage.ledger)}
        other.write(env=environment, strategy=QUICK)
        stage.converged()
        until("the other one serves", other.ready)
        before = {*stage.replicas(), *other.replicas()}
        with under_load(stage, OTHER_HOST):
            stage.write(**NEW_VERSION)
            other.write(env=environment | NEW_VERSION["env"])
            stage.converged()
            until("the other one serves", other.ready)
        assert runs_version(stage)
        assert before.isdisjoint({*stage.replicas(), *other.replicas()})


def test_streams_of_http_2_while_replicas_are_replaced() -> None:
    """Each connection has streams all the time, so none of them is ever idle when a replica leaves."""
    ended = Event()
    with harsh_stage(routed=True, replicas=2) as stage, stage.controller(), ThreadPoolExecutor() as pool:
        stage.converged()
        asked = pool.submit(_asked_by_h2load, stage.port, ended)
        try:
            stage.write(**NEW_VERSION)
            stage.converged()
        finally:
            ended.set()
        assert runs_version(stage)
        for each in asked.result():
            assert each["2xx"] > 0
            assert {name for name, number in each.items() if number} <= {
                "total", "started", "done", "succeeded", "2xx",
            }, each  # fmt: skip


def _asked_by_h2load(port: int, ended: Event) -> list[dict[str, int]]:
    """What became of the requests of some seconds each, until long enough."""
    seen: list[dict[str, int]] = []
    while not seen or not ended.is_set():
        text = told(
            "h2load", "--duration=8", "--clients=4", "--max-concurrent-streams=4", "--rps=20",
            f"http://{HOST}:{port}/",
        )  # fmt: skip
        seen.append(counts(text))
    return seen
