"""Two services under two names on one port: what happens to one of them touches nothing of the other."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

import pytest

from reconciler.core.desired.build import project_of
from tests.e2e.docker_cli import containers, docker, inspect
from tests.e2e.neighbour import Neighbour, ask, neighbour
from tests.e2e.proof import NEW_VERSION, harsh_stage, runs_version, under_load
from tests.e2e.stage import HOST, Stage, free_port
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]

OTHER_HOST: Final = "other.test"


@pytest.fixture
def shared() -> Iterator[tuple[Stage, Neighbour]]:
    """Two services that serve behind one gateway, and a controller that goes on running."""
    with (
        harsh_stage(routed=True, replicas=2) as stage,
        neighbour(stage, "b", OTHER_HOST) as other,
        stage.controller(),
    ):
        stage.converged()
        # The younger one.
        other.write()
        until("the other one serves", other.ready)
        yield stage, other


def processes(stage: Stage) -> set[tuple[str, int]]:
    """The gateway's HAProxies, and the processes in each."""
    return {(each, inspect(each)["State"]["Pid"]) for each in stage.proxies()}


class Download:
    """A stream that goes on for some seconds; `whole` when it came to its end."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        self._answer = (0, "", b"")
        path = f"/stream?seconds={seconds}"
        self._thread = threading.Thread(
            target=lambda: setattr(self, "_answer", ask(stage, HOST, path)), daemon=True
        )
        self._thread.start()

    @property
    def is_open(self) -> bool:
        return self._thread.is_alive()

    def whole(self) -> bool:
        self._thread.join(90)
        return self._answer[0] == 200 and self._answer[2].endswith(b"end\n")


def test_two_services_have_two_names_on_one_port(shared: tuple[Stage, Neighbour]) -> None:
    stage, other = shared
    names = {host: {ask(stage, host)[1] for _ in range(10)} for host in (HOST, OTHER_HOST)}
    assert names[HOST] == {inspect(each)["Config"]["Hostname"] for each in stage.replicas()}
    assert names[OTHER_HOST] == {inspect(each)["Config"]["Hostname"] for each in other.replicas()}
    assert ask(stage, "unknown.test")[0] == 404
    # The gateway is in the networks of both, and is no way from one into the other.
    forwarding = [docker("exec", each, "cat", "/proc/sys/net/ipv4/ip_forward") for each in stage.proxies()]
    assert set(forwarding) == {"0"}
    # None of them has a HAProxy of its own, or a port.
    for project in (stage.project, project_of(other.name)):
        assert not containers(project, "haproxy", everything=True)
        assert not containers(project, "gateway", everything=True)
    shown = stage.vaultctl("get", "-o", "wide").stdout
    assert OTHER_HOST in shown
    assert f"{OTHER_HOST}/" in stage.vaultctl("describe", other.name).stdout


def test_what_one_does_touches_nothing_of_the_other(shared: tuple[Stage, Neighbour]) -> None:
    stage, other = shared
    before = processes(stage)
    workers = _workers(stage)
    stream = Download(stage, 45)
    with under_load(stage):
        for change in (
            {"env": {"VERSION": "2"}},
            {"replicas": 3},
            {"healthcheck": {"path": "/healthz"}},
            {"route": {"hostnames": [OTHER_HOST, "third.test"], "gateway": stage.gateway}},
        ):
            other.write(**change)
            until(f"the other one has {change}", other.ready)
        other.delete()
        until("the other one is gone", lambda: not containers(project_of(other.name), everything=True))
        assert stream.is_open, "the stream was over before all was tried"
    assert ask(stage, OTHER_HOST)[0] == 404
    assert stream.whole()
    assert processes(stage) == before
    assert _workers(stage) == workers, "HAProxy was reloaded"


def _workers(stage: Stage) -> list[str]:
    """What the only HAProxy of the gateway says of its processes, without their ages."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(stage.state / "gateways" / stage.gateway / "run" / "master-1.sock"))
        connection.sendall(b"show proc\n")
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    rows = [line.split() for line in answer.splitlines() if line and not line.startswith("#")]
    return [" ".join(row[:3]) for row in rows]


def test_a_service_in_two_pools_rolls_and_a_route_moves_to_another_pool() -> None:
    cart = {"hostnames": [HOST], "path": "/cart", "stripPath": True, "sticky": "cookie"}
    with harsh_stage(routed=True, replicas=2, routes=[{"hostnames": [HOST]}, cart]) as stage:
        with stage.controller():
            stage.converged()
            with under_load(stage):
                stage.write(**NEW_VERSION)
                stage.converged()
                # HAProxy has compression by pool, so the replicas join another one.
                stage.write(routes=[{"hostnames": [HOST], "compression": True}, cart])
                stage.converged()
        assert runs_version(stage)
        assert _pool_kinds(stage) == {"s", "z"}


def _pool_kinds(stage: Stage) -> set[str]:
    lines = (stage.state / "gateways" / stage.gateway / "haproxy" / "assignment.txt").read_text()
    return {line[0] for line in lines.splitlines()}


def test_the_younger_one_of_two_that_claim_a_host_says_so(shared: tuple[Stage, Neighbour]) -> None:
    stage, other = shared
    running = set(other.replicas())
    with under_load(stage):
        other.write(route={"hostnames": [HOST, OTHER_HOST], "gateway": stage.gateway})
        until("it says so", lambda: other.condition("Accepted") == ("False", "Conflicted"))
        until("it serves on", other.ready)
        other.write(route={"hostnames": [HOST], "gateway": stage.gateway})
        until("it waits", lambda: other.condition("Ready") == ("False", "Conflicted"))
    assert set(other.replicas()) == running
    assert "belongs to" in stage.vaultctl("describe", other.name).stdout


def test_a_service_that_gets_a_route_keeps_its_port_until_the_gateway_serves_it() -> None:
    with harsh_stage(replicas=2) as stage, stage.controller():
        stage.converged()
        before, former, new = set(stage.replicas()), stage.port, free_port()
        shut: list[float] = []
        done = threading.Event()

        def knock() -> None:
            while not done.is_set():
                # In this order: the old one may close between two looks, but then the new one has to be open.
                if not (_answers(former) or _answers(new)):
                    shut.append(time.monotonic())

        knocking = threading.Thread(target=knock)
        knocking.start()
        try:
            stage.port, stage.gateway = new, f"g-{stage.name}"
            listener = {"name": "http", "port": new, "protocol": "HTTP"}
            stage.write_manifest("VaultGateway", stage.gateway, {"listeners": [listener]})
            stage.write(ports=None, route={"hostnames": [HOST], "gateway": stage.gateway})
            stage.converged()
            until(
                "its own HAProxy is gone", lambda: not containers(stage.project, "haproxy", everything=True)
            )
            until("its port is closed", lambda: not containers(stage.project, "gateway", everything=True))
            assert not _answers(former)
        finally:
            done.set()
            knocking.join()
        assert not shut
        assert set(stage.replicas()) == before


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def test_what_comes_as_a_service_is_deleted_is_not_held(shared: tuple[Stage, Neighbour]) -> None:
    stage, other = shared
    other.write(proxy={"holdSeconds": 120})
    until("the other one serves", other.ready)
    took: dict[int, float] = {}
    ended = threading.Event()

    def ask_on() -> None:
        while not ended.is_set():
            began = time.monotonic()
            status = ask(stage, OTHER_HOST)[0]
            took[status] = max(took.get(status, 0.0), time.monotonic() - began)

    clients = [threading.Thread(target=ask_on) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        other.delete()
        until("it is gone", lambda: 404 in took and not other.replicas())
    finally:
        ended.set()
        for client in clients:
            client.join(130)
    assert took[404] < 60, took
    assert took.keys() <= {200, 404}, took
