"""The service of contestants.py on the nodes of a Swarm, reached through the port of each: ours, Swarm's own, and Compose.

docker-rollout knows one engine and Compose, so its replicas and its HAProxy are on the first node alone. All have the same
image with its health check, the same surge, and a HAProxy that is a container of its own on each node that takes requests.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import docker as docker_sdk

from benchmarks.harness.contestants import (
    IMAGE,
    PROXY_IMAGE,
    Setting,
    docker_rollout,
    proxy_directories,
    wait_for_answers,
)
from reconciler.core import labels
from tests.e2e.docker_cli import docker
from tests.e2e.stage import Stage, free_port
from tests.swarm.laboratory import Laboratory

__all__ = ["OnNodes", "ours", "rolled_out", "swarms_own"]

STOP_GRACE: Final = "30s"


@dataclass(frozen=True)
class OnNodes:
    """A service that runs. `labels` are those of its replicas on `engines`, `addresses` its ways in.

    `release` asks for a version, `settle` waits until the one who brought it has nothing left to do.
    """

    port: int
    addresses: tuple[str, ...]
    labels: Sequence[str]
    engines: Sequence[Any]
    release: Callable[[str], object]
    settle: Callable[[], object] = lambda: None

    def rows(self) -> list[dict[str, Any]]:
        """Its running replicas on all nodes, as the engines list them."""
        filters = {"label": list(self.labels)}
        return [row for engine in self.engines for row in engine.containers(filters=filters)]


@contextmanager
def ours(setting: Setting, lab: Laboratory, stage: Stage) -> Iterator[OnNodes]:
    """The stage's manifest is edited; its controller is on the first node, and its gateway on all."""
    stage.write(replicas=setting.replicas, env={**setting.env, "VERSION": "1"})
    stage.converged()
    yield OnNodes(
        port=stage.port,
        addresses=_addresses(lab),
        labels=(f"{labels.SERVICE}={stage.name}", f"{labels.ROLE}=web"),
        engines=_engines(lab),
        release=lambda version: stage.write(env={"VERSION": version}),
        settle=stage.converged,
    )


@contextmanager
def swarms_own(setting: Setting, lab: Laboratory) -> Iterator[OnNodes]:
    """A service of so many tasks that Swarm updates itself, start-first and all at once. HAProxy follows Docker's DNS."""
    name, port = f"t-bench-{secrets.token_hex(3)}", free_port()
    swarm = lab.first.docker
    order = ("--update-order=start-first", f"--update-parallelism={setting.replicas}", "--detach")
    with ExitStack() as ending:

        def remove() -> None:
            for node in lab.nodes:
                node.docker("rm", "--force", name, check=False)
            swarm("service", "rm", name, check=False)
            lab.remove_project(name)

        ending.callback(remove)
        mark = f"--label=com.docker.stack.namespace={name}"
        swarm("network", "create", "--driver=overlay", "--attachable", mark, name)
        swarm(
            *("service", "create", f"--name={name}", f"--network={name}", f"--replicas={setting.replicas}"),
            *("--endpoint-mode=dnsrr", "--no-resolve-image", "--init", "--restart-delay=0s"),
            *(f"--stop-grace-period={STOP_GRACE}", *order),
            *(f"--env={key}={value}" for key, value in setting.env.items()),
            # By its ID, as ours: for a tag, each node would ask a registry first.
            docker("image", "inspect", "--format", "{{.Id}}", IMAGE),
        )
        for node in lab.nodes:
            config, run = ending.enter_context(proxy_directories(f"tasks.{name}", setting))
            node.docker(
                *("run", "--detach", f"--name={name}", f"--network={name}", f"--publish={port}:8080"),
                *(f"--volume={config}:/usr/local/etc/haproxy:ro", f"--volume={run}:/run/bench", PROXY_IMAGE),
            )
        for node in lab.nodes:
            wait_for_answers(port, node.address)
        yield OnNodes(
            port=port,
            addresses=_addresses(lab),
            labels=(f"com.docker.swarm.service.name={name}",),
            engines=_engines(lab),
            release=lambda version: swarm("service", "update", *order, f"--env-add=VERSION={version}", name),
            settle=lambda: swarm("service", "update", "--quiet", "--detach=false", name),
        )


@contextmanager
def rolled_out(setting: Setting, lab: Laboratory) -> Iterator[OnNodes]:
    """A Compose project on the first node, rolled by docker-rollout. Raises RefusedError if that is not installed."""
    with docker_rollout(setting) as subject:
        yield OnNodes(subject.port, ("127.0.0.1",), subject.labels, _engines(lab)[:1], subject.release)


def _addresses(lab: Laboratory) -> tuple[str, ...]:
    return tuple(node.address for node in lab.nodes)


def _engines(lab: Laboratory) -> Sequence[Any]:
    return [docker_sdk.APIClient(node.host) for node in lab.nodes]
