"""A gateway behind another real HAProxy: the application learns the real client and scheme, and nothing that was forged."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass

import pytest

from tests.e2e.docker_cli import docker
from tests.e2e.stage import HOST, Stage, free_ports, staged
from tests.e2e.waiting import until

NAME = "app.example.org"
EDGE = "127.0.0.1"
CLIENT = "127.0.0.3"
STRANGER = "127.0.0.2"
MADE_UP = "6.6.6.6"
FORGED = {
    "X-Forwarded-For": MADE_UP,
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example.org",
    "X-Real-IP": MADE_UP,
    "Forwarded": f"for={MADE_UP};proto=https",
}
NOTHING: Mapping[str, str] = {}
CONFIG = """\
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend headers
    bind {edge}:{headers}
    option forwardfor
    http-request set-header X-Forwarded-Proto https
    default_backend headers
backend headers
    server gateway {edge}:{plain} source {edge}
frontend protocol
    bind {edge}:{protocol}
    default_backend protocol
backend protocol
    server gateway {edge}:{proxied} source {edge} send-proxy-v2
"""

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]


@dataclass
class Edge:
    """Another HAProxy before a gateway: it sends X-Forwarded-* from one port, and the PROXY protocol from the other one."""

    stage: Stage
    proxied: int
    headers: int
    protocol: int

    def ask(
        self, port: int, source: str, first: bytes = b"", headers: Mapping[str, str] = NOTHING
    ) -> dict[str, str]:
        """What the application was told; names in lower case. {} without an answer of it."""
        connection = http.client.HTTPConnection(EDGE, port, timeout=30, source_address=(source, 0))
        with closing(connection):
            try:
                connection.connect()
                connection.sock.sendall(first)
                connection.request("GET", "/", headers={"Host": NAME, **headers})
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                return {}
            if answer.status != 200:
                return {}
        return {name.lower(): value for name, value in json.loads(body)["headers"].items()}


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    """A gateway that trusts one address, and the other HAProxy at that."""
    proxied, headers, protocol = free_ports(3)
    name = f"edge-{secrets.token_hex(4)}"
    with staged(routed=True, plugin="whoami", replicas=2) as stage:
        listeners = [
            {"name": "http", "port": stage.port, "protocol": "HTTP", "address": EDGE},
            {"name": "proxied", "port": proxied, "protocol": "HTTP", "address": EDGE, "proxyProtocol": True},
        ]
        stage.write_gateway(network="host", listeners=listeners, trustedProxies=[f"{EDGE}/32"])
        stage.write(route={"hostnames": [NAME, HOST], "gateway": stage.gateway})
        text = CONFIG.format(edge=EDGE, headers=headers, protocol=protocol, plain=stage.port, proxied=proxied)
        path = stage.root / "edge.cfg"
        path.write_text(text)
        path.chmod(0o644)
        stage.root.chmod(0o755)
        try:
            docker(
                "run", "--detach", f"--name={name}", "--network=host", f"--volume={path}:/edge.cfg:ro",
                "haproxy:3.0", "haproxy", "-f", "/edge.cfg",
            )  # fmt: skip
            with stage.controller():
                stage.converged()
                made = Edge(stage, proxied, headers, protocol)
                until(
                    "both ways lead to it", lambda: made.ask(headers, CLIENT) and made.ask(protocol, CLIENT)
                )
                yield made
        finally:
            docker("rm", "--force", name, check=False)


def told(seen: dict[str, str]) -> tuple[str | None, str | None]:
    return seen.get("x-forwarded-for"), seen.get("x-forwarded-proto")


def assert_nothing_is_made_up(seen: dict[str, str]) -> None:
    assert MADE_UP not in json.dumps(seen)
    assert "evil" not in json.dumps(seen)
    assert "forwarded" not in seen
    assert "x-real-ip" not in seen


def test_the_client_and_scheme_of_a_trusted_proxy_are_believed(edge: Edge) -> None:
    seen = edge.ask(edge.headers, CLIENT)

    assert told(seen) == (CLIENT, "https")
    assert seen["x-forwarded-host"] == NAME
    assert seen["x-forwarded-port"] == "443"


def test_what_a_client_forged_before_a_trusted_proxy_does_not_pass(edge: Edge) -> None:
    """The other HAProxy appends to the first header, and replaces the second one."""
    seen = edge.ask(edge.headers, CLIENT, headers=FORGED)

    assert told(seen) == (CLIENT, "https")
    assert_nothing_is_made_up(seen)


def test_a_client_from_elsewhere_that_forges_is_told_as_it_is(edge: Edge) -> None:
    seen = edge.ask(edge.stage.port, STRANGER, headers=FORGED)

    assert told(seen) == (STRANGER, "http")
    assert_nothing_is_made_up(seen)


def test_the_client_of_the_proxy_protocol_is_believed_and_his_headers_are_not(edge: Edge) -> None:
    assert told(edge.ask(edge.protocol, CLIENT)) == (CLIENT, "http")
    seen = edge.ask(edge.protocol, CLIENT, headers=FORGED)

    assert told(seen) == (CLIENT, "http")
    assert_nothing_is_made_up(seen)


def test_a_client_from_elsewhere_cannot_speak_the_proxy_protocol(edge: Edge) -> None:
    line = f"PROXY TCP4 {MADE_UP} {EDGE} 1000 80\r\n".encode()

    assert edge.ask(edge.proxied, STRANGER, line) == {}
    # Without it, a client is served as what it is.
    assert told(edge.ask(edge.proxied, STRANGER)) == (STRANGER, "http")


def test_a_trusted_proxy_has_to_speak_the_protocol_that_was_agreed(edge: Edge) -> None:
    assert edge.ask(edge.proxied, EDGE) == {}
    with socket.create_connection((EDGE, edge.proxied), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with suppress(ConnectionError):
            assert connection.recv(100) == b""
