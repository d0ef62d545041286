"""Another service behind the gateway of a stage."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from reconciler.api import find_condition, load
from reconciler.core.desired.build import project_of
from reconciler.wiring import Application
from tests.e2e.docker_cli import containers, remove_project
from tests.e2e.stage import HOST, Stage


@dataclass
class Neighbour:
    """A service of two replicas with a route to a host of its own."""

    stage: Stage
    name: str
    host: str
    spec: dict[str, Any] = field(default_factory=dict)

    def write(self, **spec: Any) -> None:
        """Change its spec."""
        route = {"hostnames": [self.host], "gateway": self.stage.gateway}
        self.spec = {"plugin": "whoami", "replicas": 2, "route": route} | self.spec | spec
        if "routes" in self.spec or "tcp" in self.spec:
            self.spec.pop("route")
        self.stage.write_manifest("VaultService", self.name, self.spec)

    def delete(self) -> None:
        """Remove its manifest."""
        self._manifest.unlink()

    @property
    def _manifest(self) -> Path:
        return self.stage.manifests / f"{self.name}.yaml"

    @cached_property
    def _application(self) -> Application:
        return self.stage.application

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition, for the newest spec."""
        objects = self._application.objects
        stored = objects.get(self.name)
        (written,) = load(self._manifest)
        if stored is None or stored.resource.spec != written.resource.located(self.stage.manifests).spec:
            return "", ""
        found = find_condition(objects.status(self.name).conditions, kind)  # type: ignore[arg-type]
        if found is None or found.observed_generation != stored.generation:
            return "", ""
        return found.status, found.reason

    def ready(self) -> bool:
        """Whether all of its replicas serve its newest spec."""
        return self.condition("Ready") == ("True", "Serving")

    def replicas(self) -> list[str]:
        """IDs of its running replicas."""
        return containers(project_of(self.name), "whoami")


@contextmanager
def neighbour(stage: Stage, suffix: str, host: str) -> Iterator[Neighbour]:
    """A further service of the stage's gateway; what it runs is removed afterwards."""
    made = Neighbour(stage, f"{stage.name}-{suffix}", host)
    try:
        yield made
    finally:
        # A gateway that is still connected to its network keeps it.
        remove_project(stage.front_project)
        remove_project(project_of(made.name))


def ask(stage: Stage, host: str, path: str = "/") -> tuple[int, str, bytes]:
    """Status, replica and body of the answer to a request for a host."""
    connection = http.client.HTTPConnection(HOST, stage.port, timeout=60)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("X-Replica", ""), answer.read()
    finally:
        connection.close()
