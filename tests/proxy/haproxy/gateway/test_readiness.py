"""The path by which what leads clients to a HAProxy learns that it is about to leave its node."""

from __future__ import annotations

import socket
import subprocess

import pytest

from reconciler.api.vaultgateway import GatewaySpec, Readiness
from reconciler.core.assess.observation import Admin
from reconciler.proxy.haproxy.gateway.readiness import READINESS, READY_SERVER, ready_server
from reconciler.proxy.haproxy.gateway.render import structure
from reconciler.proxy.haproxy.runtime import Runtime
from tests.proxy.conftest import Replica, until
from tests.proxy.haproxy.gateway.conftest import HTTP, HTTPS, POOLS, SPEC, GatewayWorld

pytestmark = pytest.mark.docker

PATH = "/-/ready"
TELLING = SPEC.model_copy(update={"readiness": Readiness(path=PATH)})
HOST = {"hostnames": ["a.test"]}


@pytest.fixture
def telling(world: GatewayWorld, replicas: dict[str, Replica]) -> GatewayWorld:
    """A gateway with the path, and a service on it."""
    started(world, TELLING, replicas)
    return world


def started(world: GatewayWorld, spec: GatewaySpec, replicas: dict[str, Replica]) -> None:
    world.spec = spec
    world.write(spec)
    world.start()
    world.serve(HOST, replicas=[replicas["one"]])


def pool(world: GatewayWorld) -> Runtime:
    return Runtime(world.master(), READINESS)


def status(world: GatewayWorld, path: str = PATH, host: str = "anything.test") -> int:
    return world.get(host, path).status


def test_it_says_that_it_leaves_while_it_serves(telling: GatewayWorld) -> None:
    assert (status(telling), status(telling, "/", "a.test")) == (200, 200)
    pool(telling).drain_servers([READY_SERVER])
    assert (status(telling), status(telling, "/", "a.test")) == (503, 200)
    pool(telling).restore_servers([READY_SERVER])
    assert (status(telling), status(telling, "/", "a.test")) == (200, 200)


def test_kept_connections_end_while_it_leaves(telling: GatewayWorld) -> None:
    def connections() -> list[str]:
        """How many are opened for each of two requests, one after the other."""
        url = f"https://{telling.address}:{HTTPS}/healthz"
        asked = [word for _ in range(2) for word in ("--output", "/dev/null", url)]
        words = ["curl", "--silent", "--insecure", "--http1.1", "--max-time", "20"]
        words += ["--header", "Host: a.test"]
        words += ["--write-out", "%{http_code} %{num_connects}\n", *asked]
        done = subprocess.run(words, capture_output=True, text=True, timeout=40, check=True)
        return done.stdout.splitlines()

    assert connections() == ["200 1", "200 0"]
    pool(telling).drain_servers([READY_SERVER])
    assert connections() == ["200 1", "200 1"]
    pool(telling).restore_servers([READY_SERVER])
    assert connections() == ["200 1", "200 0"]


def test_a_websocket_is_opened_while_it_leaves(telling: GatewayWorld) -> None:
    pool(telling).drain_servers([READY_SERVER])
    with socket.create_connection((telling.address, HTTP), timeout=20) as connection:
        connection.sendall(
            b"GET /ws HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        head = connection.recv(4096).lower()
    assert head.startswith(b"http/1.1 101")
    assert b"connection: upgrade" in head


def test_since_when_is_known_after_a_reload(telling: GatewayWorld) -> None:
    pool(telling).drain_servers([READY_SERVER])
    until(lambda: (said := ready_server(pool(telling).processes())) is not None and said.since >= 2)
    Runtime(telling.master(), "routes").reload(structure(TELLING, POOLS), every_pool=True)
    said = ready_server(pool(telling).processes())
    assert said is not None
    assert (said.admin, said.since >= 2) == (Admin.DRAIN, True)
    assert status(telling) == 503


def test_it_is_no_request_of_a_route(telling: GatewayWorld) -> None:
    # Whatever the host, and also without one, as balancers ask.
    assert status(telling, host="a.test") == status(telling, host="") == 200
    assert telling.get("a.test", f"{PATH}/x").headers["x-replica"]
    assert "x-replica" not in telling.get("a.test", PATH).headers
    assert telling.get("a.test", PATH).headers["cache-control"] == "no-store"
    pool(telling).drain_servers([READY_SERVER])
    assert status(telling) == 503
    logged = subprocess.run(
        ["docker", "logs", telling.containers[1]], capture_output=True, text=True, timeout=30, check=True
    )
    assert PATH not in logged.stdout


def test_without_it_the_path_is_the_applications(world: GatewayWorld, replicas: dict[str, Replica]) -> None:
    started(world, SPEC, replicas)
    assert "x-replica" in world.get("a.test", PATH).headers
    # What a gateway that is not yet reloaded has.
    assert ready_server(pool(world).processes()) is None
