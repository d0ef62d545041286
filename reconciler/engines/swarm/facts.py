"""What `doctor` asks of a Swarm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from reconciler.core import labels
from reconciler.engines.compose.rows import read_time
from reconciler.engines.errors import EngineError
from reconciler.engines.nodes import Node, SwarmFacts
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.images import BY_ID
from reconciler.threads import side_by_side

__all__ = ["read_facts", "skews"]

MTU: Final = "com.docker.network.driver.mtu"
USUAL_MTU: Final = 1500
"""Of the packets between nodes; what instances send is smaller by the header of VXLAN."""
INGRESS: Final = "ingress"

Row = Mapping[str, Any]


def read_facts(api: SwarmApi, nodes: Mapping[str, Node]) -> SwarmFacts:
    """Ask for all of it. Raises EngineError."""
    try:
        overlays = {
            row["Name"]: int((row.get("Options") or {}).get(MTU) or USUAL_MTU)
            for row in api.overlays()
            if row["Name"] != INGRESS
        }
        services = api.labelled_services(labels.SERVICE)
        images = {str(row["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]) for row in services}
        found = skews(api.all_tasks(), nodes)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise EngineError(f"an answer of the Swarm was not understood: {error!r}") from error
    named = sorted(image for image in images if not image.startswith(BY_ID))
    problems = side_by_side(lambda image: _problem(api, image), named)
    return SwarmFacts(
        overlays=overlays,
        skews=found,
        images=tuple(sorted(images)),
        unnamed=tuple(sorted(image for image in images if image.startswith(BY_ID))),
        unavailable={image: problem for image, problem in zip(named, problems, strict=True) if problem},
    )


def skews(tasks: Iterable[Row], nodes: Mapping[str, Node]) -> dict[str, float]:
    """By how much clocks are ahead of the leader's: a node says when a task came to its state, and the leader notes when it
    last heard of the task, which is never before that, and at best at once.
    """
    found: dict[str, float] = {}
    for task in tasks:
        node = nodes.get(task.get("NodeID") or "")
        if node is None or not (task["Status"].get("ContainerStatus") or {}).get("ContainerID"):
            # Until there is a container, managers write the state themselves.
            continue
        said, heard = read_time(task["Status"]["Timestamp"]), read_time(task["UpdatedAt"])
        ahead = (said - heard).total_seconds()
        found[node.name] = max(found.get(node.name, ahead), ahead)
    return found


def _problem(api: SwarmApi, image: str) -> str:
    try:
        api.ask_registry(image)
    except EngineError as error:
        return str(error)
    return ""
