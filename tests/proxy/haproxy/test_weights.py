"""Shares of new requests on a real HAProxy: they are kept by a reload, and none at all is not the same as drained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from reconciler.core.assess.observation import Admin
from reconciler.proxy.haproxy.config import render
from tests.proxy.conftest import IMAGE, Replica, World

Replicas = Mapping[str, Replica]

pytestmark = pytest.mark.docker


def shares(world: World) -> dict[str, int]:
    return {name: server.weight for name, server in world.servers().items()}


def test_requests_follow_the_weights(world: World, replicas: Replicas) -> None:
    one, two = replicas["one"], replicas["two"]
    world.configure(one, two)
    world.start()
    world.until(lambda: world.up() == {"one", "two"})
    world.weigh(one, 9)

    # leastconn divides the requests that run at the same time: ten of them come to nine and one.
    with ThreadPoolExecutor(10) as pool:
        found = pool.map(lambda _: str(world.get("/slow?ms=300")[1]["X-Replica"]), range(60))
        answers = Counter(found)

    assert shares(world) == {"one": 9, "two": 1}
    assert answers["one"] > 3 * answers["two"] > 0


def test_none_is_not_drained(world: World, replicas: Replicas) -> None:
    one, two = replicas["one"], replicas["two"]
    world.configure(one)
    world.start()
    world.add(two, weight=0)

    server = world.servers()["two"]
    assert (server.admin, server.up, server.weight) == (Admin.READY, True, 0)
    assert world.answering(10) == {"one"}
    world.drain(two)
    assert world.servers()["two"].admin is Admin.DRAIN
    # It comes back with the weight that is asked for.
    world.add(two, weight=1)
    world.drain(one)
    assert world.answering(10) == {"two"}


@pytest.mark.parametrize("trusted", [True, False])
def test_a_server_is_added_with_its_weight(world: World, replicas: Replicas, trusted: bool) -> None:
    world.configure(replicas["one"])
    world.start()
    world.add(replicas["two"], trusted=trusted, weight=7)

    world.until(lambda: world.up() == {"one", "two"})
    assert shares(world) == {"one": 1, "two": 7}


def test_a_reload_and_a_restart_keep_weights(world: World, replicas: Replicas) -> None:
    one, two = replicas["one"], replicas["two"]
    world.configure(one, two, one=5, two=0)
    world.start()
    world.until(lambda: world.up() == {"one", "two"})
    assert shares(world) == {"one": 5, "two": 0}

    # Told at run time after the file was written, as by a controller that died in between.
    world.weigh(one, 6)
    world.stack = replace(world.stack, proxy=replace(world.stack.proxy, hold_seconds=4.0))
    world.configure(one, two, one=6, two=0)
    world.proxy.reload(world.stack, 1)

    assert shares(world) == {"one": 6, "two": 0}
    assert world.observe().weights == {"one": 6, "two": 0}


def test_haproxy_itself_reads_the_line(world: World, replicas: Replicas) -> None:
    one = replicas["one"]
    files = render(world.stack.proxy, [("one", one.address)], IMAGE, [("one", 256)])
    assert f"server one {one.address} weight 256\n" in files["haproxy.cfg"]
    world.configure(one, one=256)
    world.start()
    assert shares(world) == {"one": 256}
