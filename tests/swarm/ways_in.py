"""Services on the nodes of a laboratory, and a controller on the first one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from unittest.mock import patch

from tests.e2e.proof import QUICK, REPLICAS, harsh_stage
from tests.e2e.stage import Stage, staged
from tests.e2e.waiting import until
from tests.swarm.laboratory import Laboratory

__all__ = [
    "AGENTS",
    "AGENT_IMAGE",
    "FIRST_SECONDS",
    "on_all_nodes",
    "on_the_first_node",
    "opened_afterwards",
    "removed_afterwards",
    "with_agents",
    "with_front_there",
]

AGENTS: Final = "vault-agents"
"""The stack of all agents."""
AGENT_IMAGE: Final = os.environ.get("VAULT_AGENT_IMAGE", "vault-reconciler/controller:latest")
"""The image of agents: `make images` builds it from this tree."""
FIRST_SECONDS: Final = 240.0
"""The first time, each node needs an agent."""


@contextmanager
def on_the_first_node(lab: Laboratory, **variables: str) -> Iterator[None]:
    """Commands of the block run as on the first node: in its network, with its engine, and with these variables."""
    environment = {"DOCKER_HOST": lab.first.host, "VAULT_ENGINE": "swarm"} | variables
    with lab.first.entered(), patch.dict(os.environ, environment):
        yield


def with_agents(lab: Laboratory) -> AbstractContextManager[None]:
    """Commands of the block run as on the first node, and a controller deploys agents to others."""
    address = f"{lab.first.address}:9444"
    return on_the_first_node(lab, VAULT_AGENTS=address, VAULT_AGENT_IMAGE=AGENT_IMAGE)


@contextmanager
def removed_afterwards(lab: Laboratory, stage: Stage, *projects: str) -> Iterator[None]:
    """What the stage has made is removed after the block, with the agents and these projects."""
    try:
        yield
    finally:
        for project in (stage.front_project, stage.project, *projects, AGENTS):
            lab.remove_project(project)


@contextmanager
def with_front_there(lab: Laboratory, **variables: str) -> Iterator[Stage]:
    """Three replicas that exit at once on SIGTERM, with HAProxy and a controller on the first node; removed afterwards."""
    with (
        on_the_first_node(lab, **variables),
        harsh_stage() as stage,
        removed_afterwards(lab, stage),
        stage.controller(),
    ):
        stage.converged()
        yield stage


@contextmanager
def opened_afterwards(lab: Laboratory) -> Iterator[None]:
    """All nodes take instances after the block, whichever of them it has closed."""
    try:
        yield
    finally:
        for node in lab.nodes:
            lab.first.docker("node", "update", "--availability", "active", node.name, check=False)


@contextmanager
def on_all_nodes(
    lab: Laboratory,
    selector: Mapping[str, str] | None = None,
    gateway: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Iterator[Stage]:
    """Replicas of whoami that serve through the ports of all nodes, or of those with the labels of the `selector`; removed
    afterwards, with the agents. The `gateway` says so besides.
    """
    lab.load(AGENT_IMAGE)
    whole = {"nodeSelector": dict(selector or {}), **(gateway or {})}
    with (
        with_agents(lab),
        staged(routed=True, gateway=whole, plugin="whoami", replicas=REPLICAS, strategy=QUICK) as stage,
    ):
        stage.write(**spec)
        with removed_afterwards(lab, stage), stage.controller():
            stage.converged(FIRST_SECONDS)
            until("the gateway is ready", stage.gateway_ready)
            yield stage
