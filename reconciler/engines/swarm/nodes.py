"""The nodes of a Swarm. What was asked of one is in its labels, so each controller that comes later knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from reconciler.core import labels
from reconciler.core.assess.observation import ENDED
from reconciler.core.plan.draining import Placed
from reconciler.engines.nodes import Availability, Drain, Node, SwarmFacts
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.facts import read_facts
from reconciler.engines.swarm.marks import DRAINED, DRAINED_PINNED, NODE, PROJECT, VOLUME
from reconciler.engines.swarm.rows import newest_of_each, read_instances

__all__ = ["SwarmNodes"]

NO_IMAGE: Final = "no such image"
"""In what Swarm says of a task whose image the node has not got and cannot pull."""


class SwarmNodes:
    """The nodes of a Swarm. Threads may share it."""

    def __init__(self, api: SwarmApi, own: Callable[[], str]) -> None:
        self._api = api
        self._own = own

    def all(self) -> Sequence[Node]:
        """All nodes, by name."""
        return sorted(self._api.nodes(self._own()).values(), key=lambda node: (node.name, node.id))

    def volumes(self, node: str) -> Sequence[tuple[str, str]]:
        """Those whose record says so."""
        marks = [row["Spec"].get("Labels") or {} for row in self._api.records(VOLUME)]
        return sorted(
            (each[VOLUME], each.get(PROJECT, ""))
            for each in marks
            if VOLUME in each and each.get(NODE) == node
        )

    def facts(self) -> SwarmFacts:
        """For `doctor`: some requests, and one to the registry of each image."""
        return read_facts(self._api, self._api.nodes(self._own()))

    def placed(self) -> Sequence[Placed]:
        """Those of Swarm; containers of the front door stay where they are."""
        nodes = self._api.nodes(self._own())
        services = self._api.labelled_services(labels.SERVICE)
        rows = {service["ID"]: service for service in services}
        tasks = [task for task in self._api.all_tasks() if task.get("ServiceID") in rows]
        lacking = {task["ServiceID"] for task in newest_of_each(tasks) if _lacks_image(task)}
        return [
            Placed(
                name=each.name,
                label=rows[each.id]["Spec"]["Labels"][labels.SERVICE],
                role=each.role,
                node=each.node,
                pinned=each.pinned,
                is_up=each.state not in ENDED,
                is_ready=each.is_ready,
                lacks_image=each.id in lacking,
            )
            for each in read_instances(services, tasks, nodes, {})
        ]

    def change(self, node: str, availability: Availability, drain: Drain | None) -> None:
        """Set both at once."""
        self._api.change_node(node, lambda spec: _changed(spec, availability, drain))

    def leave(self, node: str) -> bool:
        """See Nodes.leave: what is decided is decided on the version of the node that Swarm then replaces."""
        is_left = False

        def left(spec: dict[str, Any]) -> Mapping[str, Any]:
            nonlocal is_left
            is_left = DRAINED in (spec.get("Labels") or {}) and spec.get("Availability") == Availability.PAUSE
            return {**spec, "Availability": Availability.DRAIN.value} if is_left else spec

        self._api.change_node(node, left)
        return is_left


def _lacks_image(task: Mapping[str, Any]) -> bool:
    return task["Status"]["State"] == "rejected" and NO_IMAGE in str(task["Status"].get("Err")).casefold()


def _changed(spec: dict[str, Any], availability: Availability, drain: Drain | None) -> Mapping[str, Any]:
    marks = {
        name: value
        for name, value in (spec.get("Labels") or {}).items()
        if name not in (DRAINED, DRAINED_PINNED)
    }
    if drain:
        marks[DRAINED] = drain.since.isoformat(timespec="seconds")
        if drain.stops_pinned:
            marks[DRAINED_PINNED] = "true"
    return {**spec, "Availability": availability.value, "Labels": marks}
