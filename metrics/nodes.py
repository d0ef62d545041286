"""The metrics of the nodes of a Docker Swarm: how each is, and what runs on it. With one machine there are none.

The number of series depends on the number of nodes, and never on that of instances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from metrics.metric import Label, Metric, Type

__all__ = ["NODE_METRICS", "NodeSnapshot", "SwarmSnapshot", "add_swarm"]

AVAILABILITIES: Final = ("active", "pause", "drain")
STATES: Final = ("present", "ready")

_NODE: Final = Label("node", "Name of the node.")

UP: Final = Metric("vault_node_up", Type.GAUGE, "1 while Swarm calls the node ready.", (_NODE,))
AVAILABILITY: Final = Metric(
    "vault_node_availability",
    Type.GAUGE,
    "1 for the current availability of the node, 0 for the other two.",
    (_NODE, Label("availability", "Swarm's word: `pause` after `vaultctl cordon`.", AVAILABILITIES)),
)
DRAINING: Final = Metric(
    "vault_node_draining",
    Type.GAUGE,
    "1 from `vaultctl drain` until `vaultctl uncordon`.",
    (_NODE,),
)
INSTANCES: Final = Metric(
    "vault_node_instances",
    Type.GAUGE,
    "Instances on the node, of all objects.",
    (_NODE, Label("state", "`present`: all that run; `ready`: those that are healthy.", STATES)),
)
IMAGES_MISSING: Final = Metric(
    "vault_node_images_missing",
    Type.GAUGE,
    "Instances that the node could not start, because it has not got their image and cannot pull it.",
    (_NODE,),
)
MANAGERS: Final = Metric("vault_swarm_managers", Type.GAUGE, "Managers of the Swarm.")
REACHABLE: Final = Metric(
    "vault_swarm_managers_reachable", Type.GAUGE, "Managers of the Swarm that the others can reach."
)
OBSERVED: Final = Metric(
    "vault_swarm_observed",
    Type.GAUGE,
    "1 if the Swarm answered when it was last asked, else 0; a Swarm without a quorum does not.",
)

NODE_METRICS: Final = (
    *(UP, AVAILABILITY, DRAINING, INSTANCES, IMAGES_MISSING),
    *(MANAGERS, REACHABLE, OBSERVED),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSnapshot:
    """One node. `instances` maps states to numbers."""

    name: str
    up: bool
    availability: str = "active"
    draining: bool = False
    instances: Mapping[str, int] = field(default_factory=dict)
    images_missing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmSnapshot:
    """A Swarm as it was last asked; without an answer only `answers` counts."""

    answers: bool
    nodes: tuple[NodeSnapshot, ...] = ()
    managers: int = 0
    reachable: int = 0


def add_swarm(set_: Callable[..., None], swarm: SwarmSnapshot) -> None:
    """Add the samples of a Swarm; `set_` takes a metric, its value and the values of its labels."""
    set_(OBSERVED, int(swarm.answers))
    if not swarm.answers:
        return
    set_(MANAGERS, swarm.managers)
    set_(REACHABLE, swarm.reachable)
    for node in swarm.nodes:
        set_(UP, int(node.up), node.name)
        set_(DRAINING, int(node.draining), node.name)
        set_(IMAGES_MISSING, node.images_missing, node.name)
        for availability in AVAILABILITIES:
            set_(AVAILABILITY, int(node.availability == availability), node.name, availability)
        for state in STATES:
            set_(INSTANCES, node.instances.get(state, 0), node.name, state)
