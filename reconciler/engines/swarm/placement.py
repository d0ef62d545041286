"""Where an instance may run: constraints as Swarm reads them, and the node of its local volumes.

Swarm places tasks, and knows nothing of the content of a local volume. So the node on which such a volume was first used is
recorded in the Swarm, and what uses it is constrained to that node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from reconciler.core.desired.stack import JSON
from reconciler.engines.errors import EngineError, RefusedError
from reconciler.engines.nodes import Node

__all__ = ["home_of", "is_local", "names_of", "on_node", "satisfies"]

_CONSTRAINT: Final = re.compile(r"\s*([\w./-]+)\s*(==|!=)\s*(.*?)\s*")
_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "ceph", "glusterfs"})
"""Types of filesystems that are the same on every node."""


def names_of(node: Node) -> Mapping[str, str]:
    """What a constraint or a preference can ask for, with the values of a node."""
    return {
        "node.id": node.id,
        "node.hostname": node.hostname or node.name,
        "node.role": "manager" if node.is_manager else "worker",
        "node.platform.os": node.platform,
        "node.platform.arch": node.architecture,
        **{f"node.labels.{key}": value for key, value in node.labels.items()},
        **{f"engine.labels.{key}": value for key, value in node.engine_labels.items()},
    }


def satisfies(node: Node, constraints: Iterable[str]) -> bool:
    """Whether tasks with these constraints can run on a node. Swarm compares without regard to case."""
    names = names_of(node)
    for constraint in constraints:
        if not (found := _CONSTRAINT.fullmatch(constraint)):
            return False
        name, operator, value = found.groups()
        is_equal = names.get(name, "").casefold() == value.casefold()
        if is_equal is not (operator == "=="):
            return False
    return True


def is_local(volume: JSON) -> bool:
    """Whether a volume of the Compose file is on one node only; another driver than Docker's own knows for itself."""
    driver, options = volume.get("driver") or "local", volume.get("driver_opts") or {}
    return driver == "local" and str(options.get("type") or "") not in _REMOTE


def home_of(
    what: str,
    recorded: Mapping[str, str],
    constraints: Sequence[str],
    nodes: Mapping[str, Node],
    own: str,
) -> str:
    """The ID of the node that an instance with local volumes runs on. `recorded` are the IDs of the nodes of those that are
    in use already, by volume; `own` is the controller's node, which is taken where there is a choice.

    Raises RefusedError for volumes on several nodes, EngineError when no node can take it.
    """
    homes = sorted(set(recorded.values()))
    if len(homes) > 1:
        where = ", ".join(f"{volume} on {_name(node, nodes)}" for volume, node in sorted(recorded.items()))
        raise RefusedError(
            f"{what} has local volumes on several nodes ({where}); move them to one, or use a shared driver"
        )
    if homes:
        return homes[0]
    fit = [
        node for node in nodes.values() if node.is_up and node.takes_tasks and satisfies(node, constraints)
    ]
    if not fit:
        raise EngineError(
            f"no node for {what}: none that is up and active satisfies {', '.join(constraints) or 'it'}"
        )
    return min(fit, key=lambda node: (node.id != own, node.name, node.id)).id


def on_node(node: str) -> str:
    """The constraint to one node."""
    return f"node.id=={node}"


def _name(node: str, nodes: Mapping[str, Node]) -> str:
    return nodes[node].name if node in nodes else f"node {node}, which is gone"
