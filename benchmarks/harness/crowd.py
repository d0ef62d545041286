"""Many similar VaultServices under one controller."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.harness.contestants import PLUGINS
from benchmarks.harness.lab import Lab
from benchmarks.harness.pool import wait_until
from reconciler.api import API_VERSION, KIND, find_condition
from reconciler.core.desired.build import project_of
from tests.e2e.docker_cli import remove_project
from tests.e2e.stage import Stage, free_ports

CONTAINERS_BESIDE: Final = 2
"""Containers of a service beside its replicas: its gateway and its HAProxy."""
NETWORKS_OF_EACH: Final = 2
DEFAULT_NETWORKS: Final = 30
"""Networks in Docker's default address pools."""
OTHERS: Final = 6
"""Other networks of an engine."""

REMOVERS: Final = 4
"""Projects that are removed in parallel."""


def most_services(lab: Lab) -> int:
    """How many services have their networks in the engine's address pools."""
    pools = lab.engine.info().get("DefaultAddressPools") or ()
    networks = sum(1 << (pool["Size"] - int(pool["Base"].partition("/")[2])) for pool in pools)
    return ((networks or DEFAULT_NETWORKS) - OTHERS) // NETWORKS_OF_EACH


@dataclass(frozen=True)
class Crowd:
    """Services and their ports; `stage` has their directories and runs `vaultctl` on them, and perhaps a gateway.

    With one, each has a route to its own name below `localhost`, and its port is not used.
    """

    stage: Stage
    ports: Mapping[str, int]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self.ports)

    @property
    def is_ready(self) -> bool:
        """Whether all services are Ready, at the generation of their newest spec."""
        return next(self.unready(), None) is None

    def wait(self, seconds: float) -> None:
        """Wait until each service has been Ready once, at its newest spec. Raises RefusedError after `seconds`.

        Each is asked until it is: to read all of them again and again would take a part of what is measured.
        """
        waiting = list(self.names)

        def are_ready() -> bool:
            while waiting and next(self.unready(waiting[-1:]), None) is None:
                waiting.pop()
            return not waiting

        wait_until("all services are Ready", are_ready, seconds)

    def unready(self, names: Sequence[str] = ()) -> Iterator[str]:
        """The services that are not Ready, of these or of all, and why."""
        objects = self.stage.application.objects
        for name in names or self.names:
            stored, ready = objects.get(name), find_condition(objects.status(name).conditions, "Ready")
            if stored is None or ready is None or ready.observed_generation != stored.generation:
                yield f"{name}: its newest spec was not observed yet"
            elif ready.status != "True":
                yield f"{name}: {ready.message}"

    def write(self, name: str, spec: Mapping[str, Any]) -> None:
        """Write a manifest atomically."""
        document = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}}
        way_in: dict[str, Any] = {"ports": {"http": self.ports[name]}}
        if self.stage.gateway:
            way_in = {"route": {"hostnames": [f"{name}.localhost"], "gateway": self.stage.gateway}}
        document |= {"spec": {**spec, **way_in}}
        temporary = self.manifest(name).with_suffix(".new")
        temporary.write_text(yaml.safe_dump(document))
        temporary.replace(self.manifest(name))

    def manifest(self, name: str) -> Path:
        """The path of its manifest."""
        return self.stage.manifests / f"{name}.yaml"


@contextmanager
def crowd(count: int, *, gateway: Mapping[str, Any] | None = None, **spec: Any) -> Iterator[Crowd]:
    """`count` services with this spec, written down, behind a gateway with the spec `gateway` or each with a port; what was
    made of them is removed afterwards.
    """
    mark = secrets.token_hex(2)
    # Short, because the path of a UNIX socket may have no more than 107 characters.
    root = Path(tempfile.mkdtemp(prefix="vr-"))
    name = f"g-{mark}" if gateway is not None else ""
    stage = Stage(root, gateway=name, gateway_spec=dict(gateway or {}))
    stage.env["VAULT_PLUGIN_PATH"] = str(PLUGINS)
    names = [f"t-{mark}-{number}" for number in range(count)]
    services = Crowd(stage, dict(zip(names, free_ports(count), strict=True)))
    try:
        for name in services.names:
            services.write(name, spec)
        yield services
    finally:
        if name:
            # First, because it is connected to the networks of the services.
            remove_project(stage.front_project)
        with ThreadPoolExecutor(REMOVERS) as removers:
            list(removers.map(remove_project, map(project_of, services.names)))
        shutil.rmtree(root)
