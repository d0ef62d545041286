"""How many connections of one client a gateway accepts at a time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from reconciler.api.acme import Acme
from reconciler.api.tcp import TcpRoute
from reconciler.api.vaultgateway import GatewaySpec
from reconciler.proxy.haproxy.runtime import Runtime
from tests.proxy.conftest import Replica, docker, until
from tests.proxy.haproxy.gateway.conftest import HTTP, HTTPS, PROXIED, SPEC, SSH, GatewayWorld

pytestmark = pytest.mark.docker

MOST = 3
# The tests come from the engine's bridge, which SPEC trusts.
OTHERS = "192.0.2.0/24"
LIMITED = {"max_connections_per_client": MOST, "trusted_proxies": (OTHERS,)}
HOSTS = {"hostnames": ["a.test"]}


def served(world: GatewayWorld, spec: GatewaySpec, replicas: dict[str, Replica]) -> GatewayWorld:
    world.spec = spec
    world.write(spec)
    world.start()
    world.serve(HOSTS, TcpRoute(port=SSH, target=22), replicas=[replicas["one"]])
    return world


@pytest.fixture
def open_connections() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(world: GatewayWorld, port: int, stack: ExitStack, before: bytes = b"") -> socket.socket:
    """A connection, which may have been reset already."""
    connection = stack.enter_context(socket.socket())
    connection.settimeout(20)
    with suppress(ConnectionError):
        connection.connect((world.address, port))
        connection.sendall(before)
    return connection


def is_closed(connection: socket.socket) -> bool:
    """Whether the gateway has closed it; it says nothing of its own accord."""
    connection.settimeout(0.5)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("port", [HTTP, HTTPS, SSH])
def test_one_client_has_so_many_and_no_more(
    world: GatewayWorld, replicas: dict[str, Replica], open_connections: ExitStack, port: int
) -> None:
    """None of them has sent a byte: one of HTTPS has to be closed without the cost of a handshake."""
    served(world, SPEC.model_copy(update=LIMITED), replicas)
    held = [connect(world, port, open_connections) for _ in range(MOST)]
    assert [is_closed(each) for each in held] == [False] * MOST
    assert is_closed(connect(world, port, open_connections))

    held[0].close()
    until(lambda: not is_closed(connect(world, port, open_connections)))


def test_all_listeners_count_together(
    world: GatewayWorld, replicas: dict[str, Replica], open_connections: ExitStack
) -> None:
    served(world, SPEC.model_copy(update=LIMITED), replicas)
    for port in (HTTP, HTTPS, SSH):
        assert not is_closed(connect(world, port, open_connections))
    assert is_closed(connect(world, HTTP, open_connections))


def test_a_trusted_proxy_is_no_client_but_those_behind_it_are(
    world: GatewayWorld, replicas: dict[str, Replica], open_connections: ExitStack
) -> None:
    served(world, SPEC.model_copy(update={"max_connections_per_client": MOST}), replicas)
    assert not any(is_closed(connect(world, HTTP, open_connections)) for _ in range(2 * MOST))
    first, second = (f"PROXY TCP4 198.51.100.{n} 198.51.100.9 1 80\r\n".encode() for n in (1, 2))
    held = [connect(world, PROXIED, open_connections, first) for _ in range(MOST + 1)]
    assert [is_closed(each) for each in held].count(True) == 1
    assert not is_closed(connect(world, PROXIED, open_connections, second))


def test_a_network_of_ipv6_is_one_client(
    world: GatewayWorld, replicas: dict[str, Replica], open_connections: ExitStack
) -> None:
    served(world, SPEC.model_copy(update={"max_connections_per_client": MOST}), replicas)
    one_by_one = [
        f"PROXY TCP6 2001:db8:0:1::{n} 2001:db8:0:9::1 1 80\r\n".encode() for n in range(1, MOST + 2)
    ]
    held = [connect(world, PROXIED, open_connections, before) for before in one_by_one]
    assert [is_closed(each) for each in held].count(True) == 1
    another = b"PROXY TCP6 2001:db8:0:2::1 2001:db8:0:9::1 1 80\r\n"
    assert not is_closed(connect(world, PROXIED, open_connections, another))


def test_a_connection_that_is_told_from_acme_counts_once(
    world: GatewayWorld, replicas: dict[str, Replica], open_connections: ExitStack
) -> None:
    acme = Acme(accept_terms=True, challenge="tls-alpn-01")
    served(world, SPEC.model_copy(update={**LIMITED, "acme": acme}), replicas)
    held = [connect(world, HTTPS, open_connections) for _ in range(MOST)]
    assert [is_closed(each) for each in held] == [False] * MOST
    assert is_closed(connect(world, HTTPS, open_connections))


def test_a_hand_over_counts_nothing_twice(
    world: GatewayWorld, replicas: dict[str, Replica], open_connections: ExitStack
) -> None:
    """A worker that leaves passes the requests of kept connections on to the next one."""
    served(world, SPEC.model_copy(update=LIMITED), replicas)
    request = b"GET /healthz HTTP/1.1\r\nHost: a.test\r\n\r\n"
    kept = [connect(world, HTTP, open_connections, request) for _ in range(MOST)]
    assert all(each.recv(65536).startswith(b"HTTP/1.1 200") for each in kept)
    world.start(2, handover=1)
    docker("kill", "--signal=USR1", world.containers[1])
    until(lambda: not any(each.serving for each in Runtime(world.master(1), "routes").processes()))
    new = [connect(world, HTTP, open_connections, request) for _ in range(MOST)]
    assert all(each.recv(65536).startswith(b"HTTP/1.1 200") for each in new)
    for each in kept:
        each.sendall(request)
        assert each.recv(65536).startswith(b"HTTP/1.1 200")
