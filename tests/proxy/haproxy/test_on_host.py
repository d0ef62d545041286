"""A HAProxy that opens the port of the host itself: it leaves root, and is reloaded and replaced like any other one."""

from __future__ import annotations

import http.client
import json
import random
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.core.desired.stack import Stack
from reconciler.proxy.haproxy.containers import exporter_port, host_exporter
from reconciler.proxy.haproxy.proxy import HAProxy
from tests.proxy.conftest import HAPROXY_USER, World, docker, make_stack, new_name, validate

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker

ADDRESS = "127.0.0.1"


def free_low_port() -> int:
    """A port that only root may open."""
    for port in random.sample(range(600, 1024), 400):
        with suppress(OSError), socket.create_server((ADDRESS, port)):
            return port
    raise AssertionError("no port below 1024 is free")


@pytest.fixture
def on_host(tmp_path: Path) -> Iterator[World]:
    """No HAProxy yet: `configure`, then `start`."""
    port, stack = free_low_port(), make_stack(tmp_path / "site")
    stack = replace(
        stack,
        published=port,
        site=replace(stack.site, starter=0),
        proxy=replace(stack.proxy, opens=(ADDRESS, port)),
    )
    made = World(stack, HAProxy(validate, time.monotonic), new_name("host"), port)
    try:
        yield made
    finally:
        made.stop()


def test_it_opens_a_low_port_and_leaves_root(on_host: World, replicas: dict[str, Replica]) -> None:
    on_host.configure(replicas["one"])
    on_host.start()

    assert on_host.get()[0] == 200
    rows = docker("top", on_host.containers[1].id, "-eo", "pid,ppid,uid,args").splitlines()[1:]
    users = [int(row.split()[2]) for row in rows]
    # The master opens what the next worker needs.
    assert sorted(users) == [0, HAPROXY_USER], rows
    # Only on the address that it was told.
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", on_host.port), 5):
        pass


def test_its_metrics_are_on_loopback(on_host: World, replicas: dict[str, Replica]) -> None:
    on_host.configure(replicas["one"])
    on_host.start()

    where = f"http://{host_exporter(on_host.port)}:{exporter_port(1)}/metrics"
    with urllib.request.urlopen(where, timeout=10) as answer:
        assert b"haproxy_backend_status" in answer.read()


def test_reload_and_hand_over_under_load_lose_nothing(
    on_host: World, replicas: dict[str, Replica], change: Callable[..., Stack]
) -> None:
    on_host.configure(*replicas.values())
    on_host.start()

    with on_host.load() as loads:
        for hold in (1.0, 2.0):
            on_host.stack = change(on_host.stack, hold_seconds=hold)
            on_host.configure(*replicas.values())
            on_host.proxy.reload(on_host.stack, 1)
            time.sleep(0.2)
        on_host.start(2, handover=1)
        on_host.signal(1, "USR1")
        on_host.until(lambda: on_host.worker(1) is None)
        time.sleep(0.2)
    assert [load.lost for load in loads] == [[], [], [], []]
    assert on_host.worker(2) is not None


def test_a_client_that_kept_its_connection_is_served_by_the_new_worker(
    on_host: World, replicas: dict[str, Replica]
) -> None:
    one, two, _ = replicas.values()
    on_host.configure(one)
    on_host.start()
    with closing(http.client.HTTPConnection(ADDRESS, on_host.port, timeout=10)) as kept:
        kept.request("GET", "/")
        kept.getresponse().read()
        on_host.configure(two)
        on_host.proxy.reload(on_host.stack, 1)

        assert on_host.workers()[1].servers == ()
        kept.request("GET", "/")
        answer = kept.getresponse()
        seen = {name.lower(): value for name, value in json.loads(answer.read())["headers"].items()}
    assert (answer.status, answer.headers["X-Replica"], answer.headers["Connection"]) == (200, "two", "close")
    # The new worker is told who the client is.
    assert seen["x-forwarded-for"] == ADDRESS
    on_host.until(lambda: len(on_host.workers()) == 1)


def test_another_port_is_opened_by_a_reload(on_host: World, replicas: dict[str, Replica]) -> None:
    on_host.configure(replicas["one"])
    on_host.start()
    former, on_host.port = on_host.port, free_low_port()
    changed = replace(on_host.stack.proxy, opens=(ADDRESS, on_host.port))
    on_host.stack = replace(on_host.stack, published=on_host.port, proxy=changed)

    on_host.configure(replicas["one"])
    on_host.proxy.reload(on_host.stack, 1)

    assert on_host.get()[0] == 200
    with pytest.raises(ConnectionRefusedError), socket.create_connection((ADDRESS, former), 5):
        pass
