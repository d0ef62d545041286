"""A pool that loses its only server and gets it back, again and again, refuses no request, however many there are.

HAProxy looks whether a pool has a server, and chooses one a moment later. Few requests come at that moment, if hundreds do
in a second, so the clients here ask as often as they can.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from reconciler.proxy.haproxy.runtime import Runtime
from tests.http_clients import told
from tests.proxy.conftest import IMAGE, Replica, World, docker, listens, new_name, until
from tests.proxy.haproxy.gateway.conftest import HTTP, SPEC, GatewayWorld, namespace
from tests.proxy.haproxy.gateway.conftest import world as gateway_world

__all__ = ["gateway_world", "namespace"]

pytestmark = pytest.mark.docker

SECONDS: Final = 4
FAST: Final = """
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend replica
    bind :8000
    http-request return status 200
"""


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Replica]:
    """A replica that answers as fast as HAProxy does."""
    file, name = tmp_path / "fast.cfg", new_name("fast")
    file.write_text(FAST)
    try:
        volume = f"--volume={file}:/fast.cfg:ro"
        docker("run", "--detach", f"--name={name}", volume, IMAGE, "haproxy", "-f", "/fast.cfg")
        address = docker("inspect", "--format={{.NetworkSettings.IPAddress}}", name)
        until(lambda: listens(address, 8000))
        yield Replica("fast", f"{address}:8000")
    finally:
        docker("rm", "--force", name, check=False)


def asked(url: str, leave: Callable[[], None], come: Callable[[], None]) -> tuple[str, int]:
    """What wrk says when the only server leaves and comes back meanwhile, and how often it did."""
    words = ("--threads", "1", "--connections", "32", "--duration", f"{SECONDS}s", "--header", "Host: a.test")
    turns = 0
    with ThreadPoolExecutor(1) as pool:
        client = pool.submit(told, "wrk", *words, url)
        while not client.done():
            leave()
            come()
            turns += 1
            # Requests that were held go on.
            time.sleep(0.03)
        return client.result(), turns


def test_a_pool_that_loses_its_last_server_refuses_nothing(world: World, fast: Replica) -> None:
    world.configure(fast)
    world.start()
    until(lambda: world.up() == {"fast"})
    said, turns = asked(f"http://127.0.0.1:{world.port}/", lambda: world.drain(fast), lambda: world.add(fast))
    _all_were_answered(said, turns)


def test_a_pool_of_a_gateway_that_loses_its_last_server_refuses_nothing(
    gateway_world: GatewayWorld, fast: Replica
) -> None:
    gateway_world.write(SPEC)
    gateway_world.start()
    gateway_world.serve({"hostnames": ["a.test"]}, replicas=[fast])
    pool = gateway_world.held_by("s")
    said, turns = asked(
        f"http://{gateway_world.address}:{HTTP}/",
        lambda: Runtime(gateway_world.master(), pool).drain_servers([fast.name]),
        lambda: gateway_world.have(pool, [fast]),
    )
    _all_were_answered(said, turns)


def _all_were_answered(said: str, turns: int) -> None:
    assert turns > SECONDS
    assert "Non-2xx" not in said, said
    assert "Socket errors" not in said, said
