"""A VaultGateway on a real engine: routes come and go without a reload, and HAProxy is replaced by hand-over.

The services here are suspended, so that the test is their pass: it starts replicas in their networks and tells the pools.
"""

from __future__ import annotations

import http.client
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.api import find_condition, load
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import GatewaySpec, GatewayStatus
from reconciler.core.desired.stack import Probe, Site
from reconciler.proxy.base import NewServer
from reconciler.proxy.haproxy.gateway.containers import POOL, project_of
from reconciler.proxy.haproxy.gateway.directory import read_gateway, read_slots, write_pool
from reconciler.proxy.haproxy.gateway.pool_file import PoolServer, PoolSettings, server_options
from reconciler.proxy.haproxy.gateway.site import site_of
from reconciler.proxy.haproxy.runtime import Runtime
from reconciler.proxy.haproxy.socket import Master
from reconciler.wiring import Application, Options, wire
from tests.e2e.docker_cli import containers, docker, remove_project
from tests.e2e.stage import VAULTCTL, VERB_SECONDS, free_ports
from tests.e2e.waiting import PATIENCE, until

pytestmark = pytest.mark.docker

REPLICA_IMAGE = "vault-reconciler/whoami:latest"
PROXY_IMAGE = "haproxy:3.0"
HEALTH = Probe("/healthz", "localhost", 0.5)
SETTINGS = PoolSettings(HEALTH, 10.0)


@dataclass
class GatewayStage:
    """A gateway and the services with routes on it, in a directory that a controller follows."""

    root: Path
    network: str
    name: str = field(default_factory=lambda: f"t-{secrets.token_hex(4)}")
    port: int = 0
    spec: dict[str, Any] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.manifests.mkdir()
        self.state.mkdir()
        (self.port,) = free_ports(1)

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @cached_property
    def application(self) -> Application:
        return wire(Options(self.state))

    @property
    def site(self) -> Site:
        directory = self.application.objects.of(VAULT_GATEWAY).directory(self.name)
        return site_of(directory, GatewaySpec.model_validate({"network": self.network}))

    # What a user does

    def write(self, **spec: Any) -> None:
        self.spec |= spec
        listeners = [{"name": "http", "port": self.port, "protocol": "HTTP", "address": "127.0.0.1"}]
        common = {"network": self.network, "listeners": listeners, "drainSeconds": 5}
        self._manifest("VaultGateway", self.name, {**common, **self.spec})

    def serve(self, service: str, **route: Any) -> None:
        """A service with a route to its own host, which nothing but the gateway acts on."""
        name = self._full(service)
        hostnames = {"gateway": self.name, "hostnames": [f"{service}.test"], **route}
        (port,) = free_ports(1)
        spec = {"plugin": "whoami", "suspend": True, "ports": {"http": port}, "route": hostnames}
        self._manifest("VaultService", name, spec)

    def drop(self, service: str) -> None:
        (self.manifests / f"{self._full(service)}.yaml").unlink()
        self.vaultctl("delete", self._full(service), code=None)

    def _full(self, service: str) -> str:
        return f"{self.name}-{service}"

    def _manifest(self, kind: str, name: str, spec: dict[str, Any]) -> None:
        document = {
            "apiVersion": "vault.internal/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, "annotations": {"vault.internal/allow-prune": "true"}},
            "spec": spec,
        }
        path = self.manifests / f"{name}.yaml"
        path.with_suffix(".new").write_text(yaml.safe_dump(document))
        path.with_suffix(".new").replace(path)

    def vaultctl(self, *arguments: str, code: int | None = 0) -> str:
        done = subprocess.run(
            [*VAULTCTL, "--state-dir", str(self.state), *arguments],
            capture_output=True, text=True, timeout=VERB_SECONDS, check=False,
        )  # fmt: skip
        assert code is None or done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def controller(self) -> Iterator[None]:
        log = self.root / "controller.log"
        with log.open("a") as stream:
            process = subprocess.Popen(
                [*VAULTCTL, "--state-dir", str(self.state), "run", "-f", str(self.manifests), "--listen", "127.0.0.1:0"],
                stdout=stream, stderr=stream, text=True,
            )  # fmt: skip
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()

    # What a service's pass does

    def start(self, service: str) -> None:
        """One more replica of a service, in the pool that the gateway gave it."""
        name = self._full(service)
        network = f"vault-{name}_vault-net"
        if network not in docker("network", "ls", "--format={{.Name}}").split():
            docker("network", "create", f"--label=com.docker.compose.project=vault-{name}", network)
        docker(
            "run", "--detach", "--no-healthcheck", f"--name=vault-{name}-web-1", f"--hostname={service}",
            f"--label=com.docker.compose.project=vault-{name}", f"--network={network}", REPLICA_IMAGE,
        )  # fmt: skip
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = docker("inspect", f"--format={template}", f"vault-{name}-web-1") + ":8000"
        until(f"a pool for {service}", lambda: name in self.pools())
        pool = self.pools()[name]
        write_pool(self.site, pool, [PoolServer("one", address)], SETTINGS)
        for slot in read_slots(self.site):
            new = [NewServer("one", address, trusted=True)]
            self.runtime(slot, pool).add_servers(new, server_options(pool, "one", HEALTH))
        self.services[service] = pool

    def pools(self) -> dict[str, str]:
        return {need.service: pool for need, pool in read_gateway(self.site).held.items()}

    def runtime(self, slot: int, pool: str = POOL) -> Runtime:
        return Runtime(Master(self.site, slot, time.monotonic() + 20), pool)

    # What a user sees

    def workers(self) -> list[int]:
        """The processes of all HAProxies; a reload is another one."""
        return [
            worker.info.pid for slot in read_slots(self.site) for worker in self.runtime(slot).processes()
        ]

    def ready(self) -> GatewayStatus | None:
        """Its status when the controller has acted on its manifest, and it is Ready."""
        objects = self.application.objects.of(VAULT_GATEWAY)
        stored = objects.get(self.name)
        (manifest,) = load(self.manifests / f"{self.name}.yaml")
        if stored is None or stored.resource.spec != manifest.resource.spec:
            return None
        status: GatewayStatus = objects.status(self.name)
        ready = find_condition(status.conditions, "Ready")
        is_new = ready is not None and ready.observed_generation == stored.generation
        return status if ready is not None and is_new and ready.status == "True" else None

    def routes(self) -> int:
        """The routes that it serves, when it is Ready."""
        status = self.ready()
        return status.routes if status else -1

    def get(self, service: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/", headers={"Host": f"{service}.test"})
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers.get("x-replica", "")
        finally:
            connection.close()

    def story(self) -> str:
        return (self.root / "controller.log").read_text()[-4000:]

    def sweep(self) -> None:
        for manifest in self.manifests.glob("*.yaml"):
            remove_project(f"vault-{manifest.stem}")
        for service in self.services:
            remove_project(f"vault-{self._full(service)}")
        remove_project(project_of(self.name))
        shutil.rmtree(self.root)


@pytest.fixture(params=["published", "host"])
def stage(request: pytest.FixtureRequest) -> Iterator[GatewayStage]:
    made = GatewayStage(Path(tempfile.mkdtemp(prefix="vr-")), request.param)
    try:
        made.write()
        yield made
    finally:
        made.sweep()


class Requests:
    """Requests all the time from some clients, each on a connection of its own."""

    def __init__(self, stage: GatewayStage, service: str, clients: int = 4) -> None:
        self._stage, self._service = stage, service
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        self.answers: list[object] = []

    def _ask(self) -> None:
        while not self._ended.is_set():
            try:
                self.answers.append(self._stage.get(self._service))
            except OSError as error:
                self.answers.append(error)

    def __enter__(self) -> Requests:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)


@contextmanager
def second_image(stage: GatewayStage) -> Iterator[str]:
    tag = f"haproxy-{stage.name}:next"
    docker("tag", PROXY_IMAGE, tag)
    try:
        yield tag
    finally:
        docker("rmi", tag, check=False)


def test_a_gateway_lives(stage: GatewayStage) -> None:
    with stage.controller():
        until("ready", stage.ready)
        before, ids = stage.workers(), containers(project_of(stage.name))
        for service in ("one", "two"):
            stage.serve(service)
            stage.start(service)
            until(f"{service} is served", lambda: stage.get(service) == (200, service))  # noqa: B023
        assert stage.get("three")[0] == 404
        until("two routes", lambda: stage.routes() == 2)

        # A route that changes, and a service that goes.
        stage.serve("two", path="/only-here")
        until("the path is another one", lambda: stage.get("two")[0] == 404)
        stage.drop("two")
        until("its pool is spare", lambda: stage.pools().keys() == {f"{stage.name}-one"})
        assert stage.get("one") == (200, "one")
        assert stage.workers() == before
    # Another controller finds everything as it should be.
    with stage.controller():
        until("ready", stage.ready)
        stage.serve("one", compression=False)
        until("seen", stage.ready)
        assert (stage.workers(), containers(project_of(stage.name))) == (before, ids)

        with second_image(stage) as image:
            with Requests(stage, "one") as load:
                until("some requests", lambda: len(load.answers) > 50)
                stage.write(image=image)
                until("the new image runs", lambda: _runs(stage, image) and stage.ready())
                count = len(load.answers)
                until("more requests", lambda: len(load.answers) > count + 100)
            assert set(load.answers) == {(200, "one")}, stage.story()
            assert set(containers(project_of(stage.name), "haproxy")).isdisjoint(ids)

            told = stage.vaultctl("delete", f"vg/{stage.name}", "--timeout", "30s", code=None)
            assert f"services have routes on it: {stage.name}-one" in told
            assert stage.get("one") == (200, "one")
            (stage.manifests / f"{stage.name}.yaml").unlink()
            stage.drop("one")
            until("it is gone", lambda: not containers(project_of(stage.name), everything=True))


def _runs(stage: GatewayStage, image: str) -> bool:
    running = containers(project_of(stage.name), "haproxy")
    return len(running) == 1 and docker("inspect", "--format={{.Config.Image}}", *running) == image


def test_a_port_that_is_taken_is_told(stage: GatewayStage) -> None:
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", stage.port))
        squatter.listen()
        with stage.controller():
            told = until(
                "blocked", lambda: "is taken by" in stage.vaultctl("get", f"vg/{stage.name}", code=None)
            )
            assert told
            squatter.close()
            until("ready", stage.ready)


@pytest.mark.parametrize("stage", ["host"], indirect=True)
def test_a_new_listener_on_the_host_is_a_reload(stage: GatewayStage) -> None:
    (other,) = free_ports(1)
    stage.serve("one")
    with stage.controller():
        until("ready", stage.ready)
        stage.start("one")
        until("it is served", lambda: _answers(stage))
        before = containers(project_of(stage.name))
        listeners = [
            {"name": name, "port": port, "protocol": "HTTP", "address": "127.0.0.1"}
            for name, port in (("http", stage.port), ("more", other))
        ]
        with Requests(stage, "one") as load:
            until("some requests", lambda: len(load.answers) > 50)
            stage.write(listeners=listeners)
            stage.port, first = other, stage.port
            until("it listens", lambda: _answers(stage))
            stage.port = first
        # Until the reload the second port is closed.
        assert {each for each in load.answers if not isinstance(each, OSError)} == {(200, "one")}
        assert containers(project_of(stage.name)) == before


def _answers(stage: GatewayStage) -> bool:
    try:
        return stage.get("one") == (200, "one")
    except OSError:
        return False
