"""Faults of containers and networks: crashes and manual changes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any, Final

from tests.chaos.fault import Fault, Promise, Scene
from tests.e2e.docker_cli import PROJECT, containers, docker, inspect
from tests.e2e.waiting import until

PAIR: Final[dict[str, Any]] = {"proxy": {"replicas": 2}}
WEB_NETWORK: Final = "vault-net"


def _kill(*victims: str) -> None:
    """`kill -9` from outside; for the engine an unexpected exit. Returns when the engine has noticed."""
    before = {victim: _life(victim) for victim in victims}
    for victim in victims:
        os.kill(inspect(victim)["State"]["Pid"], signal.SIGKILL)
    until("the engine has noticed", lambda: all(_life(each) != life for each, life in before.items()))


def _life(container: str) -> str:
    return docker("inspect", "--format={{.State.Running}} {{.State.StartedAt}}", container, check=False)


def _one_replica_dies(scene: Scene) -> Iterator[None]:
    yield
    _kill(scene.stage.replicas()[0])


def _all_replicas_die(scene: Scene) -> Iterator[None]:
    yield
    _kill(*scene.stage.replicas())


def _one_haproxy_dies(scene: Scene) -> Iterator[None]:
    yield
    _kill(scene.stage.proxies()[0])


def _the_gateway_dies(scene: Scene) -> Iterator[None]:
    yield
    _kill(*containers(scene.stage.project, "gateway"))


def _a_replica_is_removed(scene: Scene) -> Iterator[None]:
    yield
    docker("rm", "--force", scene.stage.replicas()[0])


def _everything_is_removed(scene: Scene) -> Iterator[None]:
    yield
    docker("rm", "--force", *containers(scene.stage.project, everything=True))


def _a_replica_is_renamed(scene: Scene) -> Iterator[None]:
    yield
    docker("rename", scene.stage.replicas()[0], f"{scene.stage.project}-by-hand")
    # A renamed container is valid, and has to be replaced like any other in a rollout.
    scene.change()


def _a_replica_is_disconnected(scene: Scene) -> Iterator[None]:
    yield
    network = f"{scene.stage.project}_{WEB_NETWORK}"
    docker("network", "disconnect", "--force", network, scene.stage.replicas()[0])


def _the_networks_are_removed(scene: Scene) -> Iterator[None]:
    yield
    project = scene.stage.project
    # Healing is quicker than a person: a network that has containers again cannot be removed.
    with scene.stopped():
        for network in docker("network", "ls", "--quiet", f"--filter=label={PROJECT}={project}").split():
            for container in containers(project):
                docker("network", "disconnect", "--force", network, container, check=False)
            docker("network", "rm", network)


CONTAINER_FAULTS: Final = (
    Fault("`kill -9` of a replica", Promise.IN_FLIGHT, _one_replica_dies),
    Fault("`kill -9` of all replicas", Promise.AWAY, _all_replicas_die),
    Fault("`kill -9` of one HAProxy of a pair", Promise.IN_FLIGHT, _one_haproxy_dies, PAIR),
    Fault("`kill -9` of the only HAProxy", Promise.AWAY, _one_haproxy_dies),
    Fault("`kill -9` of the gateway", Promise.AWAY, _the_gateway_dies),
    Fault("a replica is removed manually", Promise.IN_FLIGHT, _a_replica_is_removed),
    Fault("all containers are removed manually", Promise.AWAY, _everything_is_removed),
    Fault("a replica is renamed manually, then a rollout", Promise.NONE, _a_replica_is_renamed),
    Fault("a replica is disconnected from its network", Promise.IN_FLIGHT, _a_replica_is_disconnected),
    Fault("all networks are removed manually", Promise.AWAY, _the_networks_are_removed),
)
