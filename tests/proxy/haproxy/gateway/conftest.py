"""A real HAProxy as a gateway, in a namespace of its own, before real replicas."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.api.vaultgateway import GatewaySpec, Listener
from reconciler.core.desired.stack import Probe, Site
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.logins import Logins
from reconciler.core.routes.table import Table, settle
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.containers import CONFIG_MOUNT, RUN_MOUNT, SLOT_VARIABLE
from reconciler.proxy.haproxy.files import write_files
from reconciler.proxy.haproxy.gateway.directory import read_gateway, write_gateway, write_pool
from reconciler.proxy.haproxy.gateway.maps import maps_of
from reconciler.proxy.haproxy.gateway.pool_file import PoolServer, PoolSettings, server_options
from reconciler.proxy.haproxy.gateway.pools import PoolKind, assign, needs_of, pool_names
from reconciler.proxy.haproxy.gateway.render import GATEWAY_FILE
from reconciler.proxy.haproxy.gateway.transactions import change_maps
from reconciler.proxy.haproxy.runtime import Runtime
from reconciler.proxy.haproxy.socket import Master
from tests.proxy.conftest import HAPROXY_USER, IMAGE, Replica, docker, new_name, replica, replicas, until
from tests.proxy.haproxy.gateway.auth_server import AuthServer, auth_server

__all__ = ["replica", "replicas"]

HTTP, HTTPS, PROXIED, SSH, DATABASE = 8080, 8443, 8081, 2222, 5432
HEALTH = Probe("/healthz", "localhost", 0.5)
SPEC = GatewaySpec(
    listeners=(
        Listener(name="http", port=HTTP, protocol="HTTP"),
        Listener(name="https", port=HTTPS, protocol="HTTPS"),
        Listener(name="proxied", port=PROXIED, protocol="HTTP", proxy_protocol=True),
        Listener(name="ssh", port=SSH, protocol="TCP"),
        Listener(name="db", port=DATABASE, protocol="TLS"),
    ),
    # The engine's bridge: from where the tests come.
    trusted_proxies=("172.16.0.0/12",),
    drain_seconds=30.0,
)
START = datetime(2026, 5, 1, tzinfo=UTC)
POOLS = pool_names(dict.fromkeys(PoolKind, 4))


@dataclass
class Answer:
    """An answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def seen(self) -> dict[str, str]:
        """The headers that the replica was sent, by names in lower case."""
        return {name.lower(): value for name, value in json.loads(self.body)["headers"].items()}


@dataclass
class GatewayWorld:
    """HAProxies of one gateway in slots; `serve` changes their routes as a controller would."""

    site: Site
    namespace: str
    address: str
    spec: GatewaySpec = SPEC
    containers: dict[int, str] = field(default_factory=dict)
    held: dict[Any, str] = field(default_factory=dict)

    def write(self, spec: GatewaySpec) -> None:
        """Write the gateway's own files, with the routes that it has."""
        maps = read_gateway(self.site).maps
        write_gateway(self.site, spec, POOLS, IMAGE, self.held, maps)
        if not (self.site.config / "tls").exists():
            tls = {"tls/certificates.list": "", "tls/challenges.list": "", "tls/default.pem": _certificate()}
            write_files(self.site.config, tls, self.site)

    def start(self, slot: int = 1, handover: int | None = None) -> None:
        """Start a HAProxy and wait until it answers."""
        command = ["haproxy", "-f", f"{CONFIG_MOUNT}/{GATEWAY_FILE}", "-f", f"{CONFIG_MOUNT}/pools"]
        command += ["-S", f"{RUN_MOUNT}/master-{slot}.sock,mode,660"]
        command += ["-x", f"{RUN_MOUNT}/admin-{handover}.sock"] if handover else []
        self.containers[slot] = docker(
            "run", "--detach", f"--name={self.namespace}-{slot}", f"--network=container:{self.namespace}",
            f"--user={HAPROXY_USER}", f"--env={SLOT_VARIABLE}={slot}", f"--volume={self.site.config}:{CONFIG_MOUNT}:ro",
            f"--volume={self.site.run}:{RUN_MOUNT}", IMAGE, *command,
        )  # fmt: skip
        until(lambda: self._answers(slot) or self._ended(slot))
        assert self._answers(slot), self._log(slot)

    def adopt(self, slot: int) -> None:
        """Know a HAProxy that was started otherwise, when it answers."""
        until(lambda: self._answers(slot))
        self.containers[slot] = ""

    def held_by(self, service: str) -> str:
        """The pool of a service that has one only."""
        (pool,) = (pool for need, pool in self.held.items() if need.service == service)
        return pool

    def stop(self) -> None:
        """Remove every HAProxy."""
        if self.containers:
            docker("rm", "--force", *self.containers.values())

    def master(self, slot: int = 1) -> Master:
        """The master of a slot; what is asked of it has to be answered soon."""
        return Master(self.site, slot, time.monotonic() + 20)

    def serve(
        self,
        *routes: dict[str, Any] | TcpRoute,
        replicas: Sequence[Replica] = (),
        hold: float = 5.0,
        services: Sequence[Claimant] = (),
        others: Mapping[str, Sequence[Replica]] = MappingProxyType({}),
        logins: Mapping[str, Logins] = MappingProxyType({}),
        is_stopped: bool = False,
    ) -> Table:
        """Make these the routes, all of one service with these replicas, or those of more services; `others` are replicas
        of those that have their own.
        """
        http = [Route.model_validate(each, by_alias=True) for each in routes if isinstance(each, dict)]
        tcp = [each for each in routes if isinstance(each, TcpRoute)]
        mine = Claimant("s", START, tuple(http), tuple(tcp), is_stopped)
        tables, refusals = settle({"main": self.spec}, [mine, *services])
        assert not refusals
        needs = needs_of(tables["main"])
        self.held = dict(assign(needs.values(), self.held, (), POOLS).pools)
        pools = {route: self.held[need] for route, need in needs.items()}
        settings = {pool: PoolSettings(HEALTH, hold) for pool in pools.values()}
        maps = maps_of(
            tables["main"],
            pools,
            settings,
            self.spec.trusted_proxies,
            secured=secured_in(tables["main"]),
            logins=logins,
        )
        write_gateway(self.site, self.spec, POOLS, IMAGE, self.held, maps)
        for need, pool in self.held.items():
            servers = [PoolServer(each.name, each.address) for each in others.get(need.service, replicas)]
            write_pool(self.site, pool, servers, settings[pool])
        for slot in self.containers:
            for need, pool in self.held.items():
                self.have(pool, others.get(need.service, replicas), slot)
            change_maps(self.master(slot), maps)
        return tables["main"]

    def have(self, pool: str, replicas: Sequence[Replica], slot: int = 1) -> None:
        """Make these the servers of a pool."""
        runtime = Runtime(self.master(slot), pool)
        for server in runtime.processes()[0].servers:
            if server.name not in [each.name for each in replicas]:
                runtime.delete_servers([server.name], force=True)
        new = [NewServer(each.name, each.address, trusted=True) for each in replicas]
        runtime.add_servers(new, lambda name: server_options(pool, name, HEALTH))

    def pids(self, slot: int = 1) -> list[int]:
        """The workers of a slot."""
        return [worker.info.pid for worker in Runtime(self.master(slot), "routes").processes()]

    def get(
        self,
        host: str,
        path: str = "/",
        *,
        method: str = "GET",
        body: bytes | None = None,
        port: int = HTTP,
        before: bytes = b"",
        **headers: str,
    ) -> Answer:
        """One request on a connection of its own, with exactly these headers; `before` is sent first."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body is not None and "Transfer_Encoding" not in headers:
            lines.append(f"Content-Length: {len(body)}")
        request = "\r\n".join([*lines, "", ""]).encode() + (body or b"")
        with socket.create_connection((self.address, port), timeout=20) as connection:
            connection.sendall(before + request)
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, fields, answer.read())

    def _log(self, slot: int) -> str:
        command = ["docker", "logs", self.containers[slot]]
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stderr

    def _ended(self, slot: int) -> bool:
        return docker("inspect", "--format={{.State.Status}}", self.containers[slot]) == "exited"

    def _answers(self, slot: int) -> bool:
        try:
            return bool(self.pids(slot))
        except ProxyError:
            return False


def secured_in(table: Table) -> set[str]:
    """The hosts of routes that say that they have a certificate."""
    return {key.host for key, route in table.http.items() if table.routes[route].tls.certificate}


def _certificate() -> str:
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=default"
    )
    made = subprocess.run(
        [*command.split(), "-keyout", "-", "-out", "-"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return made.stdout


@pytest.fixture(scope="module")
def namespace() -> Iterator[tuple[str, str]]:
    """A container that holds a network namespace, and its address."""
    name = new_name("gateway")
    try:
        docker("run", "--detach", f"--name={name}", "--entrypoint=sleep", IMAGE, "infinity")
        yield name, docker("inspect", "--format={{.NetworkSettings.IPAddress}}", name)
    finally:
        docker("rm", "--force", name, check=False)


@pytest.fixture(scope="module")
def front(namespace: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    """One HAProxy that is never reloaded; each test says by `serve` which routes it has."""
    made = GatewayWorld(site_in(tmp_path_factory.mktemp("front")), *namespace)
    try:
        made.write(SPEC)
        made.start()
        before = made.pids()
        yield made
        assert made.pids() == before
    finally:
        made.stop()


@pytest.fixture(scope="module")
def auth(namespace: tuple[str, str]) -> Iterator[AuthServer]:
    """An auth service of this process, on the engine's bridge."""
    bridge = docker("inspect", "--format={{.NetworkSettings.Gateway}}", namespace[0])
    with auth_server(bridge) as made:
        yield made


@pytest.fixture
def world(namespace: tuple[str, str], tmp_path: Path) -> Iterator[GatewayWorld]:
    """A gateway of its own for a test: `write`, then `start`."""
    made = GatewayWorld(site_in(tmp_path), *namespace)
    try:
        yield made
    finally:
        made.stop()


def site_in(directory: Path) -> Site:
    return (
        Site(directory, HAPROXY_USER, HAPROXY_USER)
        if os.geteuid() == 0
        else Site(directory, os.geteuid(), os.getegid())
    )
