"""The controller as a service of a laboratory, by the commands of its image on a node."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from reconciler.engines.swarm.controller import KEY, STATE_KEY
from reconciler.engines.swarm.kept import OBJECT, STATE_MARK
from tests.e2e.waiting import PATIENCE, until
from tests.swarm.laboratory import CONTROLLER_STATE, Laboratory, Node

__all__ = ["IMAGE", "Installed", "installed"]

IMAGE: Final = os.environ.get("CONTROLLER_IMAGE", "vault-reconciler/controller:latest")
"""`make images` builds it from this tree; the variable names another one."""
SERVICE: Final = "vault-controller"
SOCKET: Final = "/var/run/docker.sock:/var/run/docker.sock"


@dataclass(frozen=True)
class Installed:
    """The service, and its Swarm."""

    lab: Laboratory

    def vaultctl(self, node: Node, *words: str, check: bool = True) -> str:
        """What a command prints that runs in a container of the image on a node, with the engine's socket."""
        run = ("run", "--rm", "--user", "0", "--network", "host", "--volume", SOCKET, IMAGE)
        return node.docker(*run, "--state-dir", CONTROLLER_STATE, *words, check=check, seconds=PATIENCE)

    def status(self, node: Node | None = None) -> dict[str, Any]:
        """What `vaultctl swarm status` says."""
        said = self.vaultctl(node or self.lab.first, "swarm", "status", "-o", "json", check=False)
        found: dict[str, Any] = json.loads(said) if said else {}
        return found

    def runs(self, node: Node | None = None) -> bool:
        """Whether it runs and holds the lease."""
        said = self.status(node)
        return said.get("state") == "running" and said.get("leaseHolder") == said.get("node")

    def inside(self, *words: str, given: str = "", ask: Node | None = None) -> str:
        """What a command prints that runs in the container of the controller."""
        found = until("the controller has a container", lambda: self._container(ask or self.lab.first))
        assert found is not None
        node, container = found
        done = subprocess.run(
            ["docker", "--host", node.host, "exec", "--interactive", container, "vaultctl", *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"vaultctl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def node(self, name: str) -> Node:
        """The node of that name."""
        return next(node for node in self.lab.nodes if node.name == name)

    def _container(self, ask: Node) -> tuple[Node, str] | None:
        words = ("service", "ps", "--quiet", "--no-trunc", "--filter", "desired-state=running", SERVICE)
        ids = ask.docker(*words, check=False).split()
        for task in json.loads(ask.docker("inspect", "--type=task", *ids)) if ids else ():
            status = task["Status"]
            if status["State"] == "running" and (container := status["ContainerStatus"].get("ContainerID")):
                names = json.loads(ask.docker("node", "inspect", task["NodeID"]))
                return self.node(names[0]["Description"]["Hostname"]), container
        return None


@contextmanager
def installed(lab: Laboratory, *arguments: str) -> Iterator[Installed]:
    """A controller that runs, and is gone afterwards, with its key and what it has kept."""
    lab.load(IMAGE)
    made = Installed(lab)
    try:
        made.vaultctl(lab.first, "swarm", "install", "--image", IMAGE, *arguments)
        until("the controller acts", made.runs)
        yield made
    finally:
        lab.first.docker("service", "rm", SERVICE, check=False)
        until("the controller is gone", lambda: made._container(lab.first) is None)
        for mark in (OBJECT, STATE_MARK):
            configs = lab.first.docker("config", "ls", "--quiet", "--filter", f"label={mark}").split()
            if configs:
                lab.first.docker("config", "rm", *configs, check=False)
        lab.first.docker("secret", "rm", KEY, STATE_KEY, check=False)
