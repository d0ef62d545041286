"""A service that sleeps: requests wake it and none is lost, on a real engine and a real HAProxy."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import pytest

from reconciler.api import find_condition
from tests.e2e.proof import harsh_stage
from tests.e2e.stage import Stage
from tests.e2e.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]

AFTER = 4
HOLD = 90
"""Seconds; longer than a boot takes, also on a machine that is busy with other things."""
WAITING = 50


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A service with one replica that sleeps after some seconds, before its controller is started."""
    with harsh_stage(routed=True, replicas=1, idle={"after": f"{AFTER}s", "holdSeconds": HOLD}) as made:
        yield made


def is_asleep(stage: Stage) -> bool:
    ready = find_condition(stage.application.objects.status(stage.name).conditions, "Ready")
    return ready is not None and ready.reason == "Idle" and not stage.replicas()


def falls_asleep(stage: Stage) -> None:
    try:
        until("it sleeps", lambda: is_asleep(stage))
    except AssertionError as error:
        raise AssertionError(f"{error}\n{stage.story()}") from None


def ask(stage: Stage) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", stage.port, timeout=2 * HOLD)
    with closing(connection):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return answer.status


def test_fifty_requests_wake_it_and_it_sleeps_again(stage: Stage) -> None:
    with stage.controller():
        falls_asleep(stage)
        for _ in range(2):
            with ThreadPoolExecutor(WAITING) as clients:
                answers = list(clients.map(lambda _: ask(stage), range(WAITING)))
            assert answers == [200] * WAITING, stage.story()
            falls_asleep(stage)
    assert "Idle" in stage.vaultctl("get", stage.name, "-o", "wide").stdout


def test_a_websocket_keeps_it_awake(stage: Stage) -> None:
    with stage.controller():
        falls_asleep(stage)
        with closing(socket.create_connection(("127.0.0.1", stage.port), timeout=90)) as client:
            open_websocket(client)
            (replica,) = stage.replicas()
            time.sleep(3 * AFTER)
            assert stage.replicas() == [replica]
            # A text frame whose mask is zero is its own plain text.
            client.sendall(b"\x81\x82\x00\x00\x00\x00hi")
            assert client.recv(4096) == b"\x81\x02hi"
            ended = time.monotonic()
        falls_asleep(stage)
        assert time.monotonic() - ended >= AFTER


def open_websocket(client: socket.socket) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    client.sendall(
        "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(4096)
    assert head.startswith(b"HTTP/1.1 101"), head


def test_a_controller_that_is_restarted_while_it_sleeps_wakes_nothing(stage: Stage) -> None:
    with stage.controller():
        falls_asleep(stage)
    with stage.controller():
        time.sleep(2 * AFTER)
        assert stage.replicas() == []
        assert ask(stage) == 200
        falls_asleep(stage)
    # A request that comes while no controller runs is served by the next one.
    with ThreadPoolExecutor() as clients:
        asked = clients.submit(ask, stage)
        time.sleep(2)
        assert not asked.done()
        with stage.controller():
            assert asked.result() == 200, stage.story()


def test_a_controller_that_is_killed_while_it_wakes_loses_nothing(stage: Stage) -> None:
    with stage.controller():
        falls_asleep(stage)
    with ThreadPoolExecutor(WAITING) as clients:
        with suppress(AssertionError), stage.controller() as process:
            answers = [clients.submit(ask, stage) for _ in range(WAITING)]
            until("a replica is started", stage.replicas)
            process.kill()
        with stage.controller():
            assert [each.result() for each in answers] == [200] * WAITING, stage.story()


def test_a_request_that_comes_while_the_last_replica_leaves_is_answered(stage: Stage) -> None:
    with stage.controller(), ThreadPoolExecutor(10) as clients:
        stage.converged()
        for round_ in range(3):
            assert ask(stage) == 200
            until("its server is drained", lambda: stage.servers_up() == 0)
            time.sleep(0.15 * round_)
            answers = list(clients.map(lambda _: ask(stage), range(10)))
            assert answers == [200] * 10, stage.story()


def test_a_new_revision_is_verified_while_it_sleeps(stage: Stage) -> None:
    with stage.controller():
        falls_asleep(stage)
        stage.write(env={"VERSION": "2"})
        until("it wakes", stage.replicas)
        falls_asleep(stage)
        assert "RolloutComplete" in stage.vaultctl("events", stage.name).stdout
        assert ask(stage) == 200
