"""Docker's own command line, as the hand and the eye of the tests: what is true is what `docker` says, not what we say."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any, Final

CALL_SECONDS: Final = 60.0
PROJECT: Final = "com.docker.compose.project"
SERVICE: Final = "com.docker.compose.service"


def docker(*arguments: str, check: bool = True, timeout: float = CALL_SECONDS) -> str:
    """What a docker command prints, without the last line end; with `check` it has to succeed."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert not check or done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def containers(project: str, service: str = "", *, everything: bool = False) -> list[str]:
    """Full IDs of the running containers of a project, the newest first; with `everything` the stopped ones too."""
    filters = [f"--filter=label={PROJECT}={project}"]
    filters += [f"--filter=label={SERVICE}={service}"] if service else []
    return docker("ps", "--quiet", "--no-trunc", *(["--all"] if everything else []), *filters).split()


def inspect(container: str) -> dict[str, Any]:
    """Everything that Docker knows of a container."""
    (details,) = json.loads(docker("inspect", container))
    assert isinstance(details, dict)
    return details


def died_at(container: str, since: float) -> float:
    """When a container died after a moment, in the words of the engine: Unix seconds."""
    words = ("--filter", f"container={container}", "--filter", "event=die", "--format", "{{.TimeNano}}")
    said = docker("events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}", *words)
    return int(said.splitlines()[0]) / 1e9


def remove_project(project: str) -> None:
    """Remove the containers, networks and volumes of a project, whatever state a test left it in."""
    if ids := containers(project, everything=True):
        docker("rm", "--force", "--volumes", *ids, check=False)
    for kind in ("network", "volume"):
        if names := docker(kind, "ls", "--quiet", f"--filter=label={PROJECT}={project}", check=False).split():
            docker(kind, "rm", *names, check=False)
