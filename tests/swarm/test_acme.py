"""Certificates of a gateway on three nodes, from a real ACME server, whichever node it asks."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from tests.certificates.pebble import programs, running
from tests.e2e.load import Load
from tests.e2e.stage import Stage, free_port
from tests.e2e.tls_client import served_serial
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory, Node
from tests.swarm.ways_in import FIRST_SECONDS, on_all_nodes

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(600)]

NAME: Final = "one.example.org"
RATE: Final = 60.0
"""Requests a second, of which most make a connection with TLS."""


@pytest.fixture
def stage(swarm: Laboratory) -> Iterator[Stage]:
    programs()
    with on_all_nodes(swarm) as stage:
        yield stage


def test_each_node_answers_for_a_name_and_has_its_certificate(
    swarm: Laboratory, stage: Stage, tmp_path: Path
) -> None:
    first, second, third = swarm.nodes
    https = free_port()
    listeners = [
        {"name": "http", "port": stage.port, "protocol": "HTTP"},
        {"name": "https", "port": https, "protocol": "HTTPS"},
    ]
    with running(tmp_path, third.address, stage.port, https) as pebble:
        trust = ssl.create_default_context(cadata=pebble.root())

        def another(nodes: tuple[Node, ...], than: str = "") -> str:
            """The serial number of the certificate that all of these nodes show, once it is another one."""
            return until("all nodes show it", lambda: _agreed(nodes, https, trust, than), FIRST_SECONDS)

        stage.write_gateway(listeners=listeners, acme=pebble.acme().to_document())
        stage.write(route={"hostnames": [NAME], "tls": {"redirect": False}})
        former = another(swarm.nodes)
        addresses = tuple(node.address for node in swarm.nodes)
        with Load(https, RATE, hosts=(NAME,), addresses=addresses, tls=trust) as load:
            pebble.leads(NAME, second.address)
            stage.vaultctl("certificate", "renew", NAME)
            renewed = another(swarm.nodes, former)
        assert not load.lost
        assert len(load.replicas()) > 1

        # One that is away gets what it has missed when it is back.
        third.kill()
        try:
            stage.vaultctl("certificate", "renew", NAME)
            latest = another((first, second), renewed)
        finally:
            third.start()
        try:
            until("it has the latest", lambda: _serial(third, https, trust) == latest, FIRST_SECONDS)
        except AssertionError as error:
            met = served_serial(NAME, https, third.address)
            raise AssertionError(f"{error}; {met} in place of {latest}\n{stage.story()}") from None


def _agreed(nodes: tuple[Node, ...], port: int, trust: ssl.SSLContext, but_not: str) -> str:
    """The serial number that all nodes show; empty if they differ, or if it is this one."""
    shown = {_serial(node, port, trust) for node in nodes}
    return shown.pop() if len(shown) == 1 and but_not not in shown else ""


def _serial(node: Node, port: int, trust: ssl.SSLContext) -> str:
    """The serial number of the certificate that a node shows; empty unless it is one of the server's."""
    with (
        suppress(OSError),
        socket.create_connection((node.address, port), timeout=10) as bare,
        trust.wrap_socket(bare, server_hostname=NAME) as connection,
    ):
        return str((connection.getpeercert() or {})["serialNumber"])
    return ""
