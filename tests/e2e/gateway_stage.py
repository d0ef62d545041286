"""A stage for one VaultGateway: the services on it are suspended, and the test is their pass. It starts replicas in their
networks and tells the pools that the gateway gave them.
"""

from __future__ import annotations

import http.client
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from reconciler.api import find_condition, load
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import GatewaySpec, GatewayStatus
from reconciler.core.desired.stack import Probe, Site
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.gateway.containers import POOL, project_of
from reconciler.proxy.haproxy.gateway.directory import read_gateway, read_slots, write_pool
from reconciler.proxy.haproxy.gateway.pool_file import PoolServer, PoolSettings, server_options
from reconciler.proxy.haproxy.gateway.render import pool_file
from reconciler.proxy.haproxy.gateway.site import site_of
from reconciler.proxy.haproxy.gateway.transactions import read_pools
from reconciler.proxy.haproxy.runtime import Runtime
from reconciler.proxy.haproxy.socket import Master
from reconciler.wiring import Application, Options, wire
from tests.e2e.docker_cli import docker, remove_project
from tests.e2e.stage import VAULTCTL, VERB_SECONDS, free_ports
from tests.e2e.waiting import PATIENCE, until

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
        """A service with a route to its own host, which nothing but the gateway acts on. So its network comes first: no
        pass over the service tells the gateway of it.
        """
        name = self._full(service)
        network = f"vault-{name}_vault-net"
        if network not in docker("network", "ls", "--format={{.Name}}").split():
            docker("network", "create", f"--label=com.docker.compose.project=vault-{name}", network)
        plain = {"gateway": self.name, "hostnames": [f"{service}.test"], "tls": {"redirect": False}, **route}
        spec = {"plugin": "whoami", "suspend": True, "route": plain}
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
    def controller(self, command: Sequence[str] = VAULTCTL) -> Iterator[subprocess.Popen[str]]:
        log = self.root / "controller.log"
        with log.open("a") as stream:
            process = subprocess.Popen(
                [*command, "--state-dir", str(self.state), "run", "-f", str(self.manifests), "--listen", "127.0.0.1:0"],
                stdout=stream, stderr=stream, text=True,
            )  # fmt: skip
        try:
            yield process
            if process.poll() is None:
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
            self.runtime(slot, pool).add_servers(new, lambda name: server_options(pool, name, HEALTH))
        self.services[service] = pool

    def pool_file(self, service: str) -> Path:
        return self.site.config / pool_file(self.services[service])

    def remove_replica(self, service: str) -> None:
        docker("rm", "--force", f"vault-{self._full(service)}-web-1")

    def pools(self) -> dict[str, str]:
        return {need.service: pool for need, pool in read_gateway(self.site).held.items()}

    def runtime(self, slot: int, pool: str = POOL) -> Runtime:
        return Runtime(Master(self.site, slot, time.monotonic() + 20), pool)

    # What a user sees

    def has_pool(self, service: str) -> bool | None:
        """Whether a HAProxy has the pool of a service; None while none answers."""
        for slot in read_slots(self.site):
            with suppress(ProxyError):
                return self.services[service] in read_pools(self.runtime(slot).master)
        return None

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

    def get(self, service: str, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/", headers={"Host": f"{service}.test", **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers.get("x-replica", "")
        finally:
            connection.close()

    def serves(self, service: str) -> bool:
        """Whether a replica of it answers."""
        try:
            return self.get(service) == (200, service)
        except OSError:
            return False

    def story(self) -> str:
        return (self.root / "controller.log").read_text()[-4000:]

    def sweep(self) -> None:
        for manifest in self.manifests.glob("*.yaml"):
            remove_project(f"vault-{manifest.stem}")
        for service in self.services:
            remove_project(f"vault-{self._full(service)}")
        remove_project(project_of(self.name))
        tags = docker("images", f"haproxy-{self.name}", "--format={{.Repository}}:{{.Tag}}").split()
        if tags:
            docker("rmi", *tags, check=False)
        shutil.rmtree(self.root)


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
def gateway_stage(network: str) -> Iterator[GatewayStage]:
    """A stage whose containers, networks and images are removed afterwards."""
    made = GatewayStage(Path(tempfile.mkdtemp(prefix="vr-")), network)
    try:
        made.write()
        yield made
    finally:
        made.sweep()


def another_image(stage: GatewayStage, tag: str) -> str:
    """Another name of HAProxy's image, which goes with the stage."""
    name = f"haproxy-{stage.name}:{tag}"
    docker("tag", PROXY_IMAGE, name)
    return name
