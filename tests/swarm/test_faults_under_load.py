"""Faults of a Swarm of three managers while requests come in on each node that is there, through a gateway on all of them.

The controller runs on the first node and stays there; test_faults.py has those by which another one takes over.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.chaos.machines import LEADER_DIES, LINK_CUT, NETWORK_REMOVED, NODE_CUT, REGISTRY_AWAY, tell
from tests.e2e.load import CALM_SECONDS
from tests.e2e.proof import NEW_VERSION, runs_version
from tests.e2e.registry import registry
from tests.e2e.stage import Stage, free_port
from tests.e2e.waiting import until
from tests.swarm.laboratory import STACK, Laboratory, Node
from tests.swarm.test_ways_in import (
    AWAY_SECONDS,
    as_at_first,
    degraded,
    killed_under_load,
    stage,
    under_load,
)
from tests.swarm.ways_in import FIRST_SECONDS

__all__ = ["stage"]

pytestmark = [pytest.mark.docker, pytest.mark.turns, pytest.mark.timeout(600)]

CONTAINERS: Final = "{{range $id, $_ := .Containers}}{{$id}} {{end}}"
CUT_SECONDS: Final = 30.0
OK: Final = 200
WEB_NETWORK: Final = "vault-net"
WHOLE_SECONDS: Final = 120.0
"""For how long Swarm may be without a leader, or not know a node that is back."""


@pytest.fixture(autouse=True)
def managers(swarm: Laboratory, stage: Stage) -> None:
    """All nodes are managers, so that one may be lost."""
    for node in swarm.nodes:
        swarm.promote(node, swarm.first)
    until("the Swarm is whole", swarm.is_whole, WHOLE_SECONDS)


def test_the_leader_dies(swarm: Laboratory, stage: Stage) -> None:
    _let_lead(swarm, *swarm.nodes[1:])
    as_at_first(stage)
    load, killed, back = killed_under_load(_leader(swarm), swarm, stage)
    _all_is_well(swarm, stage)
    tell(LEADER_DIES, load, stage, harm=killed, healed=back)


def test_a_node_is_cut_off(swarm: Laboratory, stage: Stage) -> None:
    """A release is rolled out on the others meanwhile, and what ran on the node is in no pool when it is back."""
    _let_lead(swarm, *swarm.nodes[:2])
    as_at_first(stage)
    away = swarm.nodes[-1]
    with under_load(stage, tuple(node for node in swarm.nodes if node is not away)) as load:
        cut = time.monotonic()
        with swarm.cut_off(away):
            stage.write(**NEW_VERSION)
            time.sleep(CUT_SECONDS)
        over = time.monotonic()
        stage.converged()
        _all_is_well(swarm, stage)
        healed = time.monotonic()
    assert runs_version(stage)
    tell(NODE_CUT, load, stage, harm=cut, over=over, healed=healed)


def test_two_nodes_do_not_reach_each_other(swarm: Laboratory, stage: Stage) -> None:
    """Both reach the leader, so Swarm moves nothing, and each HAProxy finds out by itself who answers it."""
    _let_lead(swarm, swarm.first)
    as_at_first(stage)
    with under_load(stage, swarm.nodes) as load:
        cut = time.monotonic()
        with _link_cut(*swarm.nodes[1:]):
            time.sleep(CUT_SECONDS)
        over = time.monotonic()
        stage.converged()
        _all_is_well(swarm, stage)
        healed = time.monotonic()
    tell(LINK_CUT, load, stage, harm=cut, over=over, healed=healed)


def test_the_overlay_network_is_removed(swarm: Laboratory, stage: Stage) -> None:
    """Swarm removes no network that is in use, so what uses it is taken away as well."""
    as_at_first(stage)
    network = f"{stage.project}_{WEB_NETWORK}"
    refused = swarm.first.docker("network", "rm", network, check=False)
    assert network not in refused, "Swarm has removed a network that tasks use"
    with under_load(stage, swarm.nodes) as load:
        removed = time.monotonic()
        until("it is removed", lambda: _is_removed(swarm, stage.project, network))
        over = time.monotonic()
        stage.converged()
        _all_is_well(swarm, stage)
        until("the service answers", lambda: stage.get()[0] == OK)
        healed = time.monotonic()
        time.sleep(CALM_SECONDS)
    tell(NETWORK_REMOVED, load, stage, harm=removed, over=over, healed=healed)


def test_the_registry_is_away(swarm: Laboratory, stage: Stage, tmp_path: Path) -> None:
    """A change is rolled out with the image that the nodes have; another image waits until the registry is back."""
    port = free_port()
    with _registry(swarm, tmp_path / "one", "vault-reconciler/whoami:latest", port) as image:
        as_at_first(stage, env={"WHOAMI_IMAGE": f"{image}:1"})
    with under_load(stage, swarm.nodes) as load:
        away = time.monotonic()
        stage.write(**NEW_VERSION)
        stage.converged()
        assert runs_version(stage)
        stage.write(env={"WHOAMI_IMAGE": f"{image}:2"})
        until("the image is missed", lambda: f"{image}:2" in stage.vaultctl("events", stage.name).stdout)
        time.sleep(max(0.0, away + AWAY_SECONDS - time.monotonic()))
        over = time.monotonic()
        with _registry(swarm, tmp_path / "two", "vault-reconciler/whoami:2", port):
            stage.converged()
            healed = time.monotonic()
            time.sleep(CALM_SECONDS)
    tell(REGISTRY_AWAY, load, stage, harm=away, over=over, healed=healed)


@contextmanager
def _registry(swarm: Laboratory, directory: Path, image: str, port: int) -> Iterator[str]:
    """The name of this image in a registry that all nodes reach, each on its own loopback: no engine asks for TLS there."""
    with ExitStack() as ending:
        for node in swarm.nodes:
            layers = directory / node.name
            layers.mkdir(parents=True)
            with node.entered():
                name = ending.enter_context(registry(image, layers, port=port))
        yield name


def _let_lead(swarm: Laboratory, *wanted: Node) -> None:
    """Have one of these nodes lead. Swarm elects another leader when the present one is made a worker."""

    def leads() -> bool:
        leader = _leader(swarm)
        if leader not in wanted:
            other = next(node for node in swarm.nodes if node is not leader)
            other.docker("node", "demote", leader.name)
            swarm.promote(leader, other)
            until("the Swarm is whole", swarm.is_whole, WHOLE_SECONDS)
        return leader in wanted

    until(f"{' or '.join(node.name for node in wanted)} leads", leads)


def _leader(swarm: Laboratory) -> Node:
    for node in swarm.nodes:
        said = node.docker("node", "inspect", "self", "--format", "{{.ManagerStatus.Leader}}", check=False)
        if said == "true":
            return node
    raise AssertionError("no node leads")


def _is_removed(swarm: Laboratory, project: str, network: str) -> bool:
    """Whether the network is removed after one more attempt: the controller heals in between."""
    for node in swarm.nodes:
        said = node.docker("network", "inspect", network, "--format", CONTAINERS, check=False)
        for container in said.split():
            node.docker("network", "disconnect", "--force", network, container, check=False)
    services = swarm.first.docker("service", "ls", "--quiet", f"--filter=label={STACK}={project}").split()
    if services:
        swarm.first.docker("service", "rm", *services, check=False)
    swarm.first.docker("network", "rm", network, check=False)
    return not swarm.first.docker("network", "ls", "--quiet", f"--filter=name=^{network}$")


def _all_is_well(swarm: Laboratory, stage: Stage) -> None:
    until("the Swarm is whole", swarm.is_whole, WHOLE_SECONDS)
    until("the gateway is well", lambda: "NodeAway" not in degraded(stage), FIRST_SECONDS)


@contextmanager
def _link_cut(one: Node, other: Node) -> Iterator[None]:
    """Drop what two nodes send each other; other nodes reach both."""
    with ExitStack() as ending:
        for node, address in ((one, other.address), (other, one.address)):
            words = ["ip", "-n", node.namespace, "route"]
            subprocess.run([*words, "add", "blackhole", f"{address}/32"], check=True, timeout=30)
            ending.callback(
                subprocess.run, [*words, "delete", "blackhole", f"{address}/32"], check=True, timeout=30
            )
        yield
