"""A stage for one VaultService: a directory of manifests, a state directory, a port, and `vaultctl` beside them.

The product runs in processes of its own, as users run it. The tests look at it through `docker`, through HTTP and
through what `vaultctl` prints; only waiting reads the state directory itself, because a process per look is slow.
"""

from __future__ import annotations

import csv
import http.client
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from reconciler.api import Spec, VaultError, find_condition, load
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.core import labels
from reconciler.core.desired.build import POOL, project_of
from reconciler.core.names import GATEWAY_PROJECT
from reconciler.core.plan.preview import Preview
from reconciler.wiring import Application, Options, wire
from tests import canary
from tests.e2e.docker_cli import SERVICE, containers, docker, inspect, remove_project
from tests.e2e.waiting import PATIENCE, until
from tests.stored import service_of

VAULTCTL: Final = (sys.executable, "-m", "reconciler.cli")
VERB_SECONDS: Final = 180.0
INFRASTRUCTURE: Final = ("gateway", "haproxy")
"""The services of a stack that are the product's own, and get no setting of the user's."""
CHEAP_PORTS: Final = range(20000, 32000)
"""Below the ports that the kernel gives to clients, so that no connection of a client has taken one."""
WORKERS: Final = 4
"""Each worker of a run has a share of these ports, since a port is taken only a while after it was found free."""
_given: set[int] = set()
HOST: Final = "127.0.0.1"
"""The host that clients of a stage ask for."""


def gateway_project(name: str) -> str:
    """The Compose project of a VaultGateway."""
    return f"{GATEWAY_PROJECT}{name}"


def free_port() -> int:
    """A TCP port that nothing listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """As many different TCP ports that nothing listens on, and that no other test gets, in whichever worker."""
    found: list[int] = []
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = [port for port in CHEAP_PORTS[worker % WORKERS :: WORKERS] if port not in _given]
    for port in random.sample(own, count + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                found.append(port)
        if len(found) == count:
            _given.update(found)
            return found
    raise AssertionError(f"only {len(found)} of {count + 100} ports are free")


@dataclass
class Stage:
    """One VaultService of a test. `spec` is what its manifest says; `env` what `vaultctl` runs with besides.

    With a `gateway`, its name, the service has a route instead of a port; that gateway listens on the port, and its
    manifest says `gateway_spec` besides.
    """

    root: Path
    name: str = field(default_factory=lambda: f"t-{secrets.token_hex(4)}")
    port: int = field(default_factory=free_port)
    spec: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    gateway: str = ""
    gateway_spec: dict[str, Any] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state.mkdir()
        self.manifests.mkdir()
        self.ledger.mkdir()
        # The replicas' user is none of this machine's.
        self.ledger.chmod(0o777)
        self.env.setdefault("VAULT_HOST_PATH", str(self.ledger))
        if self.gateway:
            self.write_gateway()

    # Places

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.root / "state"

    @property
    def manifests(self) -> Path:
        """The directory that a controller follows."""
        return self.root / "manifests"

    @property
    def manifest(self) -> Path:
        """The one manifest in it."""
        return self.manifests / f"{self.name}.yaml"

    @property
    def ledger(self) -> Path:
        """Where replicas write what they ran, if the spec tells them so."""
        return self.root / "ledger"

    @property
    def secrets(self) -> Path:
        """The directory of settings files that are in no repository."""
        return self.root / "secrets"

    @property
    def project(self) -> str:
        """The Compose project."""
        return project_of(self.name)

    # What a user does

    def write(self, **spec: Any) -> None:
        """Change fields of the spec and write the manifest; a mapping is merged, None takes a field away."""
        self.spec = _merged(self._common(), _merged(self.spec, spec))
        if "routes" in self.spec:
            self.spec.pop("route", None)
        self.write_manifest("VaultService", self.name, self.spec, self.annotations)

    def write_gateway(self, **spec: Any) -> None:
        """Change fields of the gateway's spec and write its manifest."""
        listener = {"name": "http", "port": self.port, "protocol": "HTTP"}
        self.gateway_spec = {"listeners": [listener], **self.gateway_spec, **spec}
        self.write_manifest("VaultGateway", self.gateway, self.gateway_spec)

    def gateway_ready(self) -> bool:
        """Whether the controller has acted on the gateway's manifest, and it is Ready."""
        objects = wire(Options(self.state)).objects.of(VAULT_GATEWAY)
        (manifest,) = load(self.manifests / f"{self.gateway}.yaml")
        stored = objects.get(self.gateway)
        ready = find_condition(objects.status(self.gateway).conditions, "Ready")
        if stored is None or ready is None or stored.resource.spec != manifest.resource.spec:
            return False
        return (ready.status, ready.observed_generation) == ("True", stored.generation)

    def write_manifest(
        self, kind: str, name: str, spec: Mapping[str, Any], annotations: Mapping[str, str] | None = None
    ) -> None:
        """Write the manifest of any object."""
        document = {
            "apiVersion": "vault.internal/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, **({"annotations": dict(annotations)} if annotations else {})},
            "spec": dict(spec),
        }
        path = self.manifests / f"{name}.yaml"
        temporary = path.with_suffix(".new")
        temporary.write_text(yaml.safe_dump(document, sort_keys=False))
        temporary.replace(path)

    def _common(self) -> dict[str, Any]:
        """What every manifest says, unless it says something else."""
        common: dict[str, Any] = {"ports": {"http": self.port}}
        if self.gateway:
            common = {"route": {"hostnames": [HOST], "gateway": self.gateway}}
        if canary.is_out():
            common["envFrom"] = [{"file": str(canary.settings_file(self.secrets))}]
        return common

    def vaultctl(
        self, *arguments: str, code: int | None = 0, input: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb; its exit code has to be `code`, unless that is None."""
        done = subprocess.run(
            [*VAULTCTL, "--state-dir", str(self.state), *arguments],
            capture_output=True,
            text=True,
            timeout=VERB_SECONDS,
            env=os.environ | self.env,
            input=input,
            check=False,
        )
        assert not canary.seen_in(done.stdout + done.stderr), f"vaultctl {' '.join(arguments)} shows a secret"
        assert code is None or done.returncode == code, (
            f"vaultctl {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done

    def apply(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """`vaultctl apply --wait` of the manifest."""
        return self.vaultctl("apply", "-f", str(self.manifest), "--wait", *arguments, code=code)

    @contextmanager
    def controller(self, command: Sequence[str] = VAULTCTL) -> Iterator[subprocess.Popen[str]]:
        """`vaultctl run` on the directory of manifests; asked to end afterwards, which it has to do by itself."""
        log = self.root / "controller.log"
        follow = ("run", "-f", str(self.manifests), "--listen", "127.0.0.1:0")
        with log.open("a") as stream:
            process = subprocess.Popen(
                [*command, "--state-dir", str(self.state), *follow],
                stdout=stream,
                stderr=stream,
                text=True,
                env=os.environ | self.env,
            )
        try:
            yield process
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE)
                assert process.returncode == 0, log.read_text()
        finally:
            process.kill()
            process.wait()

    # What a user sees

    @property
    def application(self) -> Application:
        """Eyes of our own on the same state directory."""
        plugins = tuple(
            Path(each) for each in self.env.get("VAULT_PLUGIN_PATH", "").split(os.pathsep) if each
        )
        keys = tuple(map(Path, filter(None, self.env.get("VAULT_AGE_KEYS", "").split(os.pathsep))))
        runtime = Path(self.env["VAULT_RUNTIME_DIR"]) if "VAULT_RUNTIME_DIR" in self.env else None
        return wire(
            Options(self.state, plugins, host_paths=(self.ledger,), age_keys=keys, runtime_dir=runtime)
        )

    def status(self) -> dict[str, Any]:
        """`status` as `vaultctl get -o json` prints it."""
        status = json.loads(self.vaultctl("get", self.name, "-o", "json").stdout)["status"]
        assert isinstance(status, dict)
        return status

    def preview(self) -> Preview:
        """What differs from the manifest, and what would be done next."""
        (manifest,) = load(self.manifest)
        application = self.application
        return application.preview(application.build(service_of(manifest), self.manifest.parent))

    def converged(self, within: float = PATIENCE) -> None:
        """Wait until the controller has acted on the manifest, says Ready, and nothing is left to be done."""
        application = self.application
        (manifest,) = load(self.manifest)

        def acted() -> bool:
            stored = application.objects.get(self.name)
            if stored is None or _comparable(stored.resource.spec) != _comparable(manifest.resource.spec):
                return False
            ready = find_condition(application.objects.status(self.name).conditions, "Ready")
            return (
                ready is not None
                and ready.status == "True"
                and ready.observed_generation == stored.resource.metadata.generation
            )

        def settled() -> bool:
            if not acted():
                return False
            try:
                preview = application.preview(application.build(service_of(manifest), self.manifest.parent))
            except VaultError:
                return False
            return not (preview.differences or preview.plan.operations or preview.plan.blocked)

        try:
            until(f"{self.name} converged", settled, within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from None

    def story(self) -> str:
        """What helps to understand a failure: the status, what differs, and the end of the controller's log."""
        log = self.root / "controller.log"
        parts = [self.application.objects.status(self.name).model_dump_json(indent=1, exclude_none=True)]
        try:
            preview = self.preview()
            parts += [*map(str, preview.differences), str(preview.plan)]
        except VaultError as error:
            parts.append(str(error))
        parts += log.read_text().splitlines()[-60:] if log.exists() else []
        return "\n".join(parts)

    def leaks(self) -> list[str]:
        """Where the suite's canary is and should not be: in files, in what Docker shows, in logs of our own containers."""
        found = canary.left_in(self.root)
        ids = containers(self.project, everything=True)
        for details in json.loads(docker("inspect", *ids, check=False)) if ids else ():
            ours = details["Config"]["Labels"].get(SERVICE) in INFRASTRUCTURE
            if canary.shown_of(details, may_have_it=not ours):
                found.append(f"docker inspect {details['Name']}")
            if ours and canary.seen_in(_logs(details["Id"])):
                found.append(f"docker logs {details['Name']}")
        return found

    def replicas(self, service: str = "whoami") -> list[str]:
        """IDs of the running replicas."""
        return containers(self.project, service)

    def proxies(self) -> list[str]:
        """IDs of the running HAProxy containers."""
        return containers(self.front_project, "haproxy")

    @property
    def front_project(self) -> str:
        """The Compose project of its HAProxies."""
        return gateway_project(self.gateway) if self.gateway else self.project

    def get(self, path: str = "/") -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers (names in lower case) and body of one request through the published port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def answering(self, requests: int = 10) -> set[str]:
        """The hostnames of the replicas that answered these many requests, each of which has to be answered with 200."""
        names = set()
        for _ in range(requests):
            status, headers, _ = self.get()
            assert status == 200
            names.add(headers["x-replica"])
        return names

    def servers_up(self, slot: int = 1) -> int:
        """How many servers of the pool HAProxy itself calls UP."""
        return sum(state.startswith("UP") for state in self.servers(slot).values())

    def servers(self, slot: int = 1) -> dict[str, str]:
        """The servers of the pool by name, and what HAProxy itself calls the state of each."""
        directory = self.state / ("gateways" if self.gateway else "services") / (self.gateway or self.name)
        on_host = self.spec.get("proxy", {}).get("network") == "host"
        path = directory / ("run-host" if on_host else "run") / f"admin-{slot}.sock"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(b"show stat -1 4 -1\n")
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        rows = csv.DictReader(answer.decode().lstrip("# ").strip().splitlines())
        return {row["svname"]: row["status"] for row in rows if row["pxname"] in self._pools()}

    def _pools(self) -> set[str]:
        if not self.gateway:
            return {POOL}
        lines = (
            (self.state / "gateways" / self.gateway / "haproxy" / "assignment.txt").read_text().splitlines()
        )
        return {pool for pool, service, _ in map(str.split, lines) if service == self.name}

    def slots(self) -> list[int]:
        """Where HAProxy runs; each container has a slot of its own."""
        return sorted(int(inspect(each)["Config"]["Labels"][labels.SLOT]) for each in self.proxies())


@contextmanager
def staged(
    *,
    routed: bool = False,
    gateway: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Iterator[Stage]:
    """A stage whose containers, networks and volumes are removed afterwards, whatever happened. `routed`: the service is
    behind a gateway, whose manifest says `gateway` besides. `annotations` are those of the service.
    """
    # Short, because the path of a UNIX socket may have no more than 107 characters.
    root = Path(tempfile.mkdtemp(prefix="vr-"))
    name = f"g-{secrets.token_hex(4)}" if routed else ""
    stage = Stage(root, gateway=name, gateway_spec=dict(gateway or {}), annotations=dict(annotations or {}))
    try:
        stage.write(**spec)
        yield stage
        assert not canary.is_out() or stage.leaks() == []
    finally:
        if stage.gateway:
            # First, because it is connected to the network of the service.
            remove_project(stage.front_project)
        remove_project(stage.project)
        shutil.rmtree(root)


def _logs(container: str) -> bytes:
    """Both streams of a container."""
    words = ["docker", "logs", container]
    return subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
    ).stdout


def _comparable(spec: Spec) -> Spec:
    """The store makes the paths of settings files absolute."""
    return spec.model_copy(
        update={
            "env_from": len(spec.env_from),
            "secrets": len(spec.secrets),
            "compose": bool(spec.compose),
        }
    )


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = _merged(result[key], value)
        else:
            result[key] = value
    return result
