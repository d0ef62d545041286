"""A real HAProxy in front of real replicas, as a stack has them, but without Compose and without a controller.

`world` is made anew for each test: a gateway that holds the published port, a directory of configuration and sockets,
and HAProxy containers in slots. The replicas are shared by all tests of a run; they know nothing of proxies.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.traffic import CLIENT_ADDRESSES
from reconciler.core.assess.observation import (
    Admin,
    Container,
    Health,
    ProxyObservation,
    ProxyWorker,
    Server,
    State,
)
from reconciler.core.desired.stack import (
    Probe,
    ProxySettings,
    Role,
    Site,
    Stack,
    Strategy,
    Workload,
)
from reconciler.proxy.base import NewServer
from reconciler.proxy.haproxy.containers import (
    CONFIG_MOUNT,
    INNER_PORT,
    RUN_MOUNT,
    SLOT_VARIABLE,
    haproxy_definition,
)
from reconciler.proxy.haproxy.proxy import HAProxy

IMAGE = "haproxy:3.0"
REPLICA_IMAGE = "vault-reconciler/whoami:latest"
_NUMBERS = count()
HAPROXY_USER = 99
DEADLINE = 60.0


def docker(*arguments: str, check: bool = True, timeout: float = 120.0) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def until(holds: Callable[[], object], within: float = DEADLINE) -> None:
    """Wait for something that is about to be true; fails when it is not in time."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.02)


def validate(image: str, directory: Path, user: str) -> None:
    options = [f"--volume={directory}:{CONFIG_MOUNT}:ro", f"--user={user}", f"--env={SLOT_VARIABLE}=0"]
    command = ["haproxy", "-c", "-f", f"{CONFIG_MOUNT}/haproxy.cfg"]
    done = subprocess.run(
        ["docker", "run", "--rm", "--network=none", *options, image, *command],
        capture_output=True,
        text=True,
        timeout=30,
    )
    if done.returncode:
        raise ValueError(done.stderr)


@dataclass(frozen=True)
class Replica:
    name: str
    address: str


@dataclass
class Load:
    """Clients that repeat requests and never retry one; `lost` is what any of them did not get a 200 for."""

    port: int
    method: str = "GET"
    path: str = "/"
    keep_alive: bool = False
    replicas: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    slowest: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            began = time.monotonic()
            try:
                connection.request(self.method, self.path, body=b"x" if self.method == "POST" else None)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.lost.append(f"{answer.status} after {time.monotonic() - began:.2f} s")
                self.replicas.append(answer.headers.get("X-Replica", ""))
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{error!r} after {time.monotonic() - began:.2f} s")
                connection.close()
            self.slowest = max(self.slowest, time.monotonic() - began)
            if not self.keep_alive:
                connection.close()
                connection = None
            self._stop.wait(0.004)
        if connection:
            connection.close()

    def stop(self) -> None:
        self._stop.set()


@dataclass
class World:
    stack: Stack
    proxy: HAProxy
    gateway: str
    port: int
    containers: dict[int, Container] = field(default_factory=dict)
    validated: list[str] = field(default_factory=list)
    address: str = "127.0.0.1"

    until = staticmethod(until)

    def start(self, slot: int = 1, handover: int | None = None) -> None:
        """Start a HAProxy and wait until it answers."""
        site = self.stack.site
        command = [
            "haproxy",
            "-f",
            f"{CONFIG_MOUNT}/haproxy.cfg",
            "-S",
            f"{RUN_MOUNT}/master-{slot}.sock,mode,660",
        ]
        command += ["-x", f"{RUN_MOUNT}/admin-{handover}.sock"] if handover else []
        name = f"{self.gateway}-{slot}"
        id = docker(
            "run", "--detach", f"--name={name}", *self._place(),
            f"--env={SLOT_VARIABLE}={slot}", f"--volume={site.config}:{CONFIG_MOUNT}:ro",
            f"--volume={site.run}:{RUN_MOUNT}", IMAGE, *command,
        )  # fmt: skip
        self.containers[slot] = Container(
            id=id, name=name, workload="haproxy", role=Role.PROXY, revision="r", state=State.RUNNING, health=Health.NONE,
            created=datetime.now(UTC), slot=slot,
        )  # fmt: skip
        until(lambda: self.worker(slot) is not None)

    def _place(self) -> list[str]:
        """The options of `docker run` for its network and its user."""
        if self.stack.proxy.opens is None:
            return [f"--network=container:{self.gateway}", f"--user={HAPROXY_USER}"]
        made = haproxy_definition(IMAGE, self.stack.site, 0.0, {}, on_host=True)
        return [
            f"--network={made['network_mode']}",
            f"--user={made['user']}",
            *(f"--cap-drop={each}" for each in made["cap_drop"]),
            *(f"--cap-add={each}" for each in made["cap_add"]),
        ]

    def stop(self) -> None:
        """Remove every HAProxy, at once."""
        if self.containers:
            docker("rm", "--force", *(container.id for container in self.containers.values()))

    def signal(self, slot: int, name: str) -> None:
        docker("kill", f"--signal={name}", self.containers[slot].id)

    def configure(self, *replicas: Replica, stack: Stack | None = None, **weights: int) -> None:
        servers = [(replica.name, replica.address) for replica in replicas]
        self.proxy.configure(stack or self.stack, servers, list(weights.items()))

    def add(self, replica: Replica, *, trusted: bool = True, weight: int = 1) -> None:
        new = NewServer(replica.name, replica.address, trusted, weight)
        self.proxy.add_servers(self.stack, self.slots, [new])

    def weigh(self, replica: Replica, weight: int) -> None:
        self.proxy.set_weights(self.stack, self.slots, [(replica.name, weight)])

    def drain(self, replica: Replica) -> None:
        self.proxy.drain_servers(self.stack, self.slots, [replica.name])

    def until_free(self, replica: Replica) -> None:
        """Wait until the server of a replica has no session."""
        until(lambda: self.servers()[replica.name].sessions == 0)

    def delete(self, replica: Replica, *, force: bool = False) -> None:
        self.proxy.delete_servers(self.stack, self.slots, [replica.name], force=force)

    @property
    def slots(self) -> list[int]:
        return list(self.containers)

    def observe(self) -> ProxyObservation:
        return self.proxy.observe(self.stack, list(self.containers.values()))

    def workers(self, slot: int = 1) -> tuple[ProxyWorker, ...]:
        by_id = {instance.container: instance for instance in self.observe().instances}
        return by_id[self.containers[slot].id].workers

    def worker(self, slot: int = 1) -> ProxyWorker | None:
        return next((worker for worker in self.workers(slot) if worker.current), None)

    def servers(self, slot: int = 1) -> dict[str, Server]:
        worker = self.worker(slot)
        return {server.name: server for server in worker.servers} if worker else {}

    def up(self) -> set[str]:
        return {name for name, server in self.servers().items() if server.up and server.admin is Admin.READY}

    def get(self, path: str = "/", **headers: str) -> tuple[int, http.client.HTTPMessage, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(
            "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, json.loads(body) if answer.status == 200 else {}

    def answering(self, requests: int = 30) -> set[str]:
        """Which replicas answer when so many requests are made one after the other."""
        return {str(self.get()[1]["X-Replica"]) for _ in range(requests)}

    @contextmanager
    def load(self, *loads: Load) -> Iterator[tuple[Load, ...]]:
        """Two clients of each kind, by default: fresh and kept-alive connections, GET and POST."""
        kinds = loads or (
            Load(self.port),
            Load(self.port, keep_alive=True),
            Load(self.port, method="POST", path="/echo"),
            Load(self.port, method="POST", path="/echo", keep_alive=True),
        )
        with ThreadPoolExecutor(max_workers=2 * len(kinds)) as pool:
            running = [pool.submit(kind.run) for kind in kinds for _ in range(2)]
            try:
                time.sleep(0.1)
                yield kinds
                time.sleep(0.1)
            finally:
                for kind in kinds:
                    kind.stop()
        for client in running:
            client.result()


def make_stack(directory: Path) -> Stack:
    haproxy = Workload("haproxy", Role.PROXY, 1, IMAGE, "r", frozenset({"r"}), frozenset())
    return Stack(
        name="t",
        project="t",
        published=0,
        site=Site(directory, HAPROXY_USER, HAPROXY_USER),
        document={},
        workloads=(haproxy,),
        proxy=ProxySettings("web", Probe("/healthz", "localhost", 0.5), hold_seconds=5.0, drain_seconds=10.0),
        strategy=Strategy("RollingUpdate", 1, 0, 0.0, 120.0, 10.0, auto_rollback=True),
    )


def new_name(name: str) -> str:
    """The name of a container that no other has: test modules that import these fixtures get instances of their own."""
    return f"t-proxy-{os.getpid()}-{next(_NUMBERS)}-{name}"


def start_replica(name: str, container: str, program: Sequence[str] = (), **environment: str) -> Replica:
    """Start a whoami, or a Python program (the arguments of an interpreter) in its image."""
    variables = [f"--env={key}={value}" for key, value in environment.items()]
    docker(
        "run",
        "--detach",
        "--no-healthcheck",
        f"--name={container}",
        f"--hostname={name}",
        *variables,
        *(["--entrypoint=python3"] if program else []),
        REPLICA_IMAGE,
        *program,
    )
    address = docker("inspect", "--format={{.NetworkSettings.IPAddress}}", container)
    until(lambda: listens(address, 8000))
    return Replica(name, f"{address}:8000")


def listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def replicas() -> Iterator[dict[str, Replica]]:
    """Three replicas that are there for all tests."""
    names = {name: new_name(name) for name in ("one", "two", "three")}
    try:
        with ThreadPoolExecutor() as pool:
            started = dict(zip(names, pool.map(start_replica, names, names.values()), strict=True))
        yield started
    finally:
        docker("rm", "--force", *names.values(), check=False)


@pytest.fixture
def replica() -> Iterator[Callable[..., Replica]]:
    """Start more replicas: `replica(name, VARIABLE=value)`, or of a program of their own: `replica(name, program)`."""
    names: list[str] = []

    def start(name: str, program: str = "", **environment: str) -> Replica:
        names.append(new_name(name))
        return start_replica(name, names[-1], ["-c", program] if program else [], **environment)

    try:
        yield start
    finally:
        docker("rm", "--force", *names, check=False) if names else None


@pytest.fixture(scope="session")
def gateway() -> Iterator[tuple[str, int]]:
    """The container whose network namespace every HAProxy lives in, and the host port it publishes."""
    name = new_name("gateway")
    publish = f"--publish=127.0.0.1::{INNER_PORT}"
    try:
        docker("run", "--detach", f"--name={name}", publish, "--entrypoint=sleep", IMAGE, "infinity")
        yield name, int(docker("port", name, str(INNER_PORT)).rpartition(":")[2])
    finally:
        docker("rm", "--force", name, check=False)


@pytest.fixture
def world(gateway: tuple[str, int], tmp_path: Path) -> Iterator[World]:
    """No HAProxy yet: `configure`, then `start`."""
    accepted: list[str] = []
    made = World(
        make_stack(tmp_path / "site"),
        HAProxy(lambda image, *_: accepted.append(image), time.monotonic),
        *gateway,
    )
    made.validated = accepted
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def front(
    gateway: tuple[str, int], replicas: dict[str, Replica], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """One HAProxy before one replica, for tests that only send requests."""
    site = tmp_path_factory.mktemp("front")
    made = World(make_stack(site), HAProxy(validate, time.monotonic), *gateway)
    try:
        made.configure(replicas["one"])
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def wsgi(gateway: tuple[str, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One HAProxy before a WSGI server, which knows headers by the names of CGI."""
    stack = make_stack(tmp_path_factory.mktemp("wsgi"))
    settings = replace(stack.proxy, drop_headers=(*CLIENT_ADDRESSES, "Remote-User", "X-Auth-*"))
    made = World(replace(stack, proxy=settings), HAProxy(validate, time.monotonic), *gateway)
    container = new_name("wsgi")
    try:
        program = (Path(__file__).parent / "wsgi_replica.py").read_text()
        made.configure(start_replica("wsgi", container, ["-c", program]))
        made.start()
        until(lambda: made.up() == {"wsgi"})
        yield made
    finally:
        made.stop()
        docker("rm", "--force", container, check=False)


@pytest.fixture
def change() -> Callable[..., Stack]:
    """The stack with other proxy settings: `change(stack, hold_seconds=1.0)`."""
    return lambda stack, **settings: replace(stack, proxy=replace(stack.proxy, **settings))
