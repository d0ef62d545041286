"""TCP through a gateway: by port, by the name that a TLS client asks for, held while a pool is empty."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress

import pytest

from reconciler.api.tcp import TcpRoute
from tests.proxy.conftest import Replica, docker, new_name, start_replica
from tests.proxy.haproxy.gateway.conftest import DATABASE, HTTPS, SSH, GatewayWorld

pytestmark = pytest.mark.docker

ASK = b"GET /healthz HTTP/1.0\r\n\r\n"


def ask(front: GatewayWorld, *, patience: float = 20.0) -> bytes:
    """What answers on the plain TCP port; empty when the connection is closed."""
    with socket.create_connection((front.address, SSH), timeout=patience) as connection:
        try:
            connection.sendall(ASK)
            return connection.recv(100)
        except ConnectionError:
            return b""


def served_name(front: GatewayWorld, name: str | None) -> str:
    """The common name of the certificate that a TLS client of the database port gets; empty without an answer."""
    context = ssl._create_unverified_context()
    try:
        with (
            socket.create_connection((front.address, DATABASE), timeout=20) as connection,
            context.wrap_socket(connection, server_hostname=name) as tls,
        ):
            certificate = tls.getpeercert(binary_form=True) or b""
            return "default" if b"default" in certificate else "another"
    except (ssl.SSLError, ConnectionError):
        return ""


def test_a_port_belongs_to_a_service(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    front.serve(TcpRoute(port=SSH, target=22), replicas=[replicas["one"]])

    assert ask(front).startswith(b"HTTP/1.0 200")


def test_a_port_that_no_service_claims_is_closed(front: GatewayWorld) -> None:
    front.serve()

    assert ask(front) == b""


def test_a_port_of_a_stopped_service_is_closed_at_once(front: GatewayWorld) -> None:
    front.serve(TcpRoute(port=SSH, target=22, allow_from=("0.0.0.0/0",)), hold=20.0, is_stopped=True)
    began = time.monotonic()

    assert ask(front) == b""
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("allowed", "answers"), [(["172.16.0.0/12"], True), (["10.0.0.0/8"], False)])
def test_only_clients_of_these_networks_may_connect(
    front: GatewayWorld, replicas: dict[str, Replica], allowed: list[str], answers: bool
) -> None:
    front.serve(TcpRoute(port=SSH, target=22, allow_from=tuple(allowed)), replicas=[replicas["one"]])

    assert bool(ask(front)) is answers


def test_a_connection_waits_for_the_first_replica(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    front.serve(TcpRoute(port=SSH, target=22))
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(ask(front)))
    client.start()
    time.sleep(0.5)
    assert client.is_alive()

    front.serve(TcpRoute(port=SSH, target=22), replicas=[replicas["one"]])

    client.join(20)
    assert answers[0].startswith(b"HTTP/1.0 200")


SPEAKER = """
import socket
server = socket.create_server(("", 8000))
while True:
    client, _ = server.accept()
    client.sendall(b"SSH-2.0-x\\r\\n")
"""


def test_a_server_that_speaks_first_is_heard(front: GatewayWorld) -> None:
    """As with SSH: the client sends nothing before it got a line."""
    name = new_name("speaker")
    try:
        front.serve(TcpRoute(port=SSH, target=22), replicas=[start_replica("speaker", name, ["-c", SPEAKER])])
        with socket.create_connection((front.address, SSH), timeout=20) as connection:
            assert connection.recv(20) == b"SSH-2.0-x\r\n"
    finally:
        docker("rm", "--force", name, check=False)


HEARER = """
import socket
server = socket.create_server(("", 8000))
while True:
    client, _ = server.accept()
    client.sendall(client.recv(100))
    client.close()
"""
PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n"


def test_a_server_is_told_the_clients_address_if_it_wants_that(front: GatewayWorld) -> None:
    name = new_name("hearer")
    try:
        hearer = start_replica("hearer", name, ["-c", HEARER])
        front.serve(TcpRoute(port=SSH, target=22, send_proxy=True), replicas=[hearer])
        with socket.create_connection((front.address, SSH), timeout=20) as connection:
            heard = connection.recv(100)
            client = connection.getsockname()[0]
        assert heard.startswith(PROXY_V2 + b"\x21\x11")
        assert heard[16:20] == socket.inet_aton(client)
        # One that has not asked for it gets what the client sends, and nothing else.
        front.serve(TcpRoute(port=SSH, target=22), replicas=[hearer])
        with socket.create_connection((front.address, SSH), timeout=20) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b"hello"
    finally:
        docker("rm", "--force", name, check=False)


def test_a_tls_client_gets_the_service_of_the_name_that_it_asks_for(front: GatewayWorld) -> None:
    """Still encrypted: the certificate is that of the replica, here HAProxy's own HTTPS port."""
    here = Replica("tls", f"{front.address}:{HTTPS}")
    front.serve(TcpRoute(port=DATABASE, target=5432, hostnames=("db.test", "*.db.test")), replicas=[here])

    assert served_name(front, "db.test") == "default"
    assert served_name(front, "DB.test") == "default"
    assert served_name(front, "a.db.test") == "default"
    assert served_name(front, "a.b.db.test") == "default"
    assert served_name(front, "other.test") == ""
    assert served_name(front, None) == ""


def test_a_service_without_names_gets_all_others(front: GatewayWorld) -> None:
    here = Replica("tls", f"{front.address}:{HTTPS}")
    front.serve(TcpRoute(port=DATABASE, target=5432), replicas=[here])

    assert served_name(front, "any.test") == "default"
    assert served_name(front, None) == "default"


def test_what_is_no_tls_is_refused_on_a_tls_port(front: GatewayWorld) -> None:
    here = Replica("tls", f"{front.address}:{HTTPS}")
    front.serve(TcpRoute(port=DATABASE, target=5432), replicas=[here])

    with socket.create_connection((front.address, DATABASE), timeout=30) as connection:
        connection.sendall(ASK)
        with suppress(ConnectionError):
            assert connection.recv(10) == b""
