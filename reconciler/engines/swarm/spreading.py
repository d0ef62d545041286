"""Spreading the instances of a workload over nodes and zones.

Swarm spreads the tasks of one service, and each instance is a service of its own. So the nodes that have more of the
workload than others are excluded while Swarm places the task, and allowed again afterwards: if its node dies, it can go
anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reconciler.engines.nodes import Node
from reconciler.engines.swarm.placement import names_of, satisfies
from reconciler.engines.swarm.rows import LIVE

__all__ = ["crowded", "where_others_are"]

EACH_NODE: Final = "node.id"


def crowded(
    nodes: Iterable[Node], constraints: Sequence[str], spread: Sequence[str], others: Sequence[str]
) -> list[str]:
    """Constraints that keep a task off the nodes with more of its workload than others have.

    `constraints` are its own, `spread` what to spread over first, such as `node.labels.zone`, `others` the IDs of the nodes
    of the other instances.
    """
    fit = [node for node in nodes if node.is_up and node.takes_tasks and satisfies(node, constraints)]
    left, count = fit, Counter(others)
    names = {node.id: names_of(node) for node in fit}
    for name in (*spread, EACH_NODE):
        sizes: Counter[str] = Counter()
        for node in left:
            sizes[names[node.id].get(name, "")] += count[node.id]
        least = min(sizes.values(), default=0)
        left = [node for node in left if sizes[names[node.id].get(name, "")] == least]
    return [f"node.id!={node.id}" for node in sorted(fit, key=lambda node: node.id) if node not in left]


def where_others_are(instance: str, siblings: Iterable[str], tasks: Iterable[Mapping[str, Any]]) -> list[str]:
    """The IDs of the nodes of the siblings of an instance."""
    others = set(siblings) - {instance}
    return [
        task["NodeID"]
        for task in tasks
        if task["ServiceID"] in others and task.get("NodeID") and task["Status"]["State"] in LIVE
    ]
