"""The controller as a container, started as `compose.yaml` says: not root, on a read-only file system, and still it keeps
its stacks, because all that it needs is the engine's socket, its state directory and the manifests."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.docker_cli import docker, inspect
from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import PATIENCE, until

pytestmark = pytest.mark.docker

COMPOSE_FILE: Final = Path(__file__).parents[2] / "compose.yaml"
SOCKET: Final = Path("/var/run/docker.sock")
IMAGE: Final = "vault-reconciler/controller:latest"
USER: Final = 10002


@dataclass(frozen=True)
class Installation:
    """One controller beside the stage whose manifests it follows."""

    stage: Stage
    port: int

    def compose(self, *arguments: str) -> str:
        """`docker compose`, with what a user sets in the environment."""
        settings = {
            "DOCKER_GID": str(SOCKET.stat().st_gid),
            "VAULT_STATE_DIR": str(self.stage.state),
            "VAULT_MANIFESTS": str(self.stage.manifests),
            "VAULT_LISTEN": f"127.0.0.1:{self.port}",
        }
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.project, "--file", str(COMPOSE_FILE), *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=os.environ | settings,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def project(self) -> str:
        """A project of its own beside those of the stacks."""
        return f"{self.stage.name}-ctl"

    @property
    def details(self) -> dict[str, Any]:
        """What Docker knows of the controller's container."""
        return inspect(self.compose("ps", "--all", "--quiet", "controller"))

    def vaultctl(self, *arguments: str) -> str:
        """A verb beside the controller, in its container."""
        return self.compose("exec", "-T", "controller", "vaultctl", *arguments)

    def ready(self, replicas: int) -> bool:
        """It has acted on the manifest with these many replicas, and all of them serve."""
        (service,) = json.loads(self.vaultctl("get", "-o", "json"))["items"] or [{}]
        status = service.get("status", {})
        conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
        return bool(
            conditions.get("Ready") == "True"
            and status["observedGeneration"] == service["metadata"]["generation"]
            and status["replicas"]["serving"] == status["replicas"]["desired"] == replicas
        )


@pytest.fixture
def installation(stage: Stage) -> Iterator[Installation]:
    installation = Installation(stage, free_port())
    # Nothing of this machine but the directory of manifests is in its container.
    stage.write(envFrom=[])
    _give(stage.state, USER)
    try:
        installation.compose("up", "--detach", "--no-build", "--wait")
        yield installation
    finally:
        # pytest shows it when the test failed.
        print(installation.compose("logs", "--no-color"))
        installation.compose("down", "--timeout", "30")
        _give(stage.state, os.getuid())


def _give(directory: Path, user: int) -> None:
    # From a container, so that it works for a developer who is not root as well.
    mount = f"--volume={directory}:{directory}"
    docker("run", "--rm", "--user=0", "--entrypoint=chown", mount, IMAGE, "-R", str(user), str(directory))


def test_it_keeps_its_stacks_with_no_more_rights_than_it_needs(installation: Installation) -> None:
    stage = installation.stage
    assert installation.details["State"]["Health"]["Status"] == "healthy"
    until("applied", lambda: installation.ready(3))
    assert len(stage.answering(10)) == 3

    # The rights that it works with.
    assert installation.compose("exec", "-T", "controller", "id", "-u") == str(USER)
    host = installation.details["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]

    # A hand in the stack is put right.
    victim = stage.replicas()[0]
    docker("rm", "--force", victim)
    until("healed", lambda: len(stage.replicas()) == 3 and installation.ready(3))
    assert victim not in stage.replicas()

    # An edit of the manifest is followed.
    stage.write(replicas=4)
    until("followed", lambda: installation.ready(4))
    assert "nothing differs" in installation.vaultctl("diff", "-f", "/manifests")

    # Without the controller, everything runs on.
    before = stage.replicas()
    installation.compose("stop", "controller")
    state = installation.details["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)
    assert stage.replicas() == before
    assert len(stage.answering(12)) == 4

    # It has missed a death and an edit; a look at the world is enough for the next one.
    docker("rm", "--force", before[0])
    stage.write(replicas=2)
    installation.compose("start", "controller")
    until("caught up", lambda: len(stage.replicas()) == 2 and installation.ready(2))
    assert len(stage.answering(10)) == 2
