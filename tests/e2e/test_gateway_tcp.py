"""TCP through a gateway, by port and by the name that a TLS client asks for: a rollout fails no new connection."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.certificates.certificate import Bundle
from reconciler.certificates.self_signed import self_signed
from tests.e2e.docker_cli import docker
from tests.e2e.neighbour import neighbour
from tests.e2e.proof import QUICK
from tests.e2e.stage import HOST, Stage, free_port, staged
from tests.e2e.tls_client import served_serial
from tests.e2e.waiting import until

PLUGINS = Path(__file__).parent / "plugins"
DRAIN: Final[dict[str, Any]] = {"strategy": {**QUICK, "drainSeconds": 5}}
PATIENCE = 60.0
"""Longer than a gateway holds a connection."""
PAUSE = 0.02

pytestmark = [pytest.mark.docker, pytest.mark.promise, pytest.mark.turns]


@dataclass
class Clients:
    """Clients that connect all the time, and some that stay: `call` talks over a connection and returns the replica.

    `failed` are the connections that got no answer, `cut` the replicas of those that stayed and were ended.
    """

    connect: Callable[[], socket.socket]
    call: Callable[[socket.socket], str]
    failed: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._done = threading.Event()
        talks = [self._come_and_go] * 3 + [self._stay] * 3
        self._threads = [threading.Thread(target=talk) for talk in talks]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(PATIENCE + 10)

    def _come_and_go(self) -> None:
        while not self._done.wait(PAUSE):
            try:
                with self.connect() as connection:
                    self.met.append(self.call(connection))
            except (OSError, EOFError) as error:
                self.failed.append(f"{type(error).__name__}: {error}")

    def _stay(self) -> None:
        while not self._done.is_set():
            replica = ""
            try:
                with self.connect() as connection:
                    replica = self.call(connection)
                    while not self._done.wait(PAUSE):
                        assert self.call(connection) == replica
            except (OSError, EOFError) as error:
                if replica:
                    self.cut.append(replica)
                else:
                    self.failed.append(f"{type(error).__name__}: {error}")


def _line(connection: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\n"):
        if not (got := connection.recv(4096)):
            raise EOFError(f"ended after {line!r}")
        line += got
    return line.decode().strip()


# Redis


def _run_id(connection: socket.socket) -> str:
    """Which Redis answers."""
    connection.sendall(b"INFO server\r\n")
    told = b""
    size = None
    while size is None or len(told) < size:
        if not (got := connection.recv(65536)):
            raise EOFError(f"ended after {len(told)} bytes")
        told += got
        if size is None and b"\r\n" in told:
            head, _, _ = told.partition(b"\r\n")
            size = len(head) + 2 + int(head[1:]) + 2
    return told.partition(b"run_id:")[2][:40].decode()


@pytest.mark.parametrize("network", ["published", "host"])
def test_redis_is_rolled_out_and_no_connection_fails(network: str) -> None:
    port = free_port()
    gateway = {
        "network": network,
        "listeners": [{"name": "redis", "port": port, "protocol": "TCP", "address": HOST}],
    }
    with staged(routed=True, gateway=gateway, plugin="cache", replicas=2, **DRAIN) as stage:
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        stage.write(route=None, tcp=[{"port": port, "target": 6379, "gateway": stage.gateway}])
        with stage.controller():
            stage.converged()
            old = {docker("exec", each, "redis-cli", "info", "server") for each in stage.replicas("cache")}
            gone = {told.partition("run_id:")[2][:40] for told in old}
            with Clients(lambda: socket.create_connection((HOST, port), PATIENCE), _run_id) as clients:
                until("some calls", lambda: len(clients.met) > 50)
                stage.write(env={"VERSION": "2"})
                stage.converged()
                count = len(clients.met)
                until("more calls", lambda: len(clients.met) > count + 50)
    assert not clients.failed
    assert set(clients.cut) <= gone, "a connection to a replica that stays was cut"
    assert gone <= set(clients.met)
    assert not gone & set(clients.met[count:])


# TLS, still encrypted


@contextmanager
def _named(gateway: dict[str, object], port: int) -> Iterator[tuple[Stage, dict[str, Bundle]]]:
    """Two services that speak TLS themselves, each with its own name on one port."""
    names = ("one.example.org", "two.example.org")
    bundles = {name: self_signed([name], datetime.now(UTC)) for name in names}
    with ExitStack() as stack:
        stage = stack.enter_context(staged(routed=True, gateway=gateway, plugin="wire", replicas=2, **DRAIN))
        stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
        common = {"port": port, "target": 8000, "gateway": stage.gateway}
        stage.write(route=None, tcp=[{**common, "hostnames": [names[0]]}], env={"PEM": bundles[names[0]].pem})
        other = stack.enter_context(neighbour(stage, "b", names[1]))
        other.spec = {"tcp": [{**common, "hostnames": [names[1]]}], "env": {"PEM": bundles[names[1]].pem}}
        other.write(plugin="wire")
        stack.enter_context(stage.controller())
        stage.converged()
        until("the other one serves", other.ready)
        yield stage, bundles


def test_tls_is_passed_on_by_name_while_one_of_two_is_rolled_out() -> None:
    port = free_port()
    gateway: dict[str, object] = {"listeners": [{"name": "tls", "port": port, "protocol": "TLS"}]}
    with _named(gateway, port) as (stage, bundles):
        for name, bundle in bundles.items():
            assert bundle.certificate.serial in served_serial(name, port)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            _connected("unknown.example.org", port)

        one, two = (_clients(name, port) for name in bundles)
        with one, two:
            until("some calls", lambda: min(len(one.met), len(two.met)) > 50)
            changed = time.monotonic()
            stage.write(env={"VERSION": "2"})
            stage.converged()
            count = len(one.met)
            until("more calls", lambda: len(one.met) > count + 50)
        print(f"rolled out in {time.monotonic() - changed:.1f} s, {len(one.met) + len(two.met)} connections")
    assert not one.failed + two.failed
    assert not two.cut
    assert {each.split()[1] for each in one.cut} <= {"1"}
    assert {each.split()[1] for each in one.met[count:]} == {"2"}


def _clients(name: str, port: int) -> Clients:
    def call(connection: socket.socket) -> str:
        connection.sendall(b"who\n")
        return _line(connection)

    return Clients(lambda: _connected(name, port), call)


def _connected(name: str, port: int) -> ssl.SSLSocket:
    context = ssl._create_unverified_context()
    return context.wrap_socket(socket.create_connection((HOST, port), PATIENCE), server_hostname=name)
