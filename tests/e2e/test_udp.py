"""A UDP port of a service: the engine publishes it, and it comes back with each new replica."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.stage import HOST, staged
from tests.e2e.waiting import until

TARGET: Final = 5353
ANSWER_SECONDS: Final = 0.5
PLUGINS: Final = Path(__file__).parent / "plugins"

pytestmark = [pytest.mark.docker, pytest.mark.turns]


def free_udp_port() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def answer(port: int) -> bytes:
    """What comes back for a datagram; empty if nothing does."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.settimeout(ANSWER_SECONDS)
        client.connect((HOST, port))
        try:
            client.send(b"hello")
            return client.recv(100)
        except (TimeoutError, ConnectionRefusedError):
            return b""


def test_a_udp_port_is_that_of_the_replica_that_runs() -> None:
    port = free_udp_port()
    with staged(
        plugin="beacon",
        replicas=1,
        strategy={"type": "Recreate"},
        udp=[{"port": port, "target": TARGET}],
        env={"VERSION": "1"},
    ) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        told = stage.vaultctl("validate", "-f", str(stage.manifest))
        assert f"spec.udp: the engine publishes {port} of 'beacon'" in told.stdout + told.stderr
        with stage.controller():
            stage.converged()
            until("version 1 answers", lambda: answer(port) == b"1 hello")
            stage.write(env={"VERSION": "2"})
            stage.converged()
            until("version 2 answers", lambda: answer(port) == b"2 hello")
            # Another port takes another container, as each change of a definition does.
            other = free_udp_port()
            stage.write(udp=[{"port": other, "target": TARGET}])
            stage.converged()
            until("the other port answers", lambda: answer(other) == b"2 hello")
            assert answer(port) == b""
            assert stage.get()[0] == 200
