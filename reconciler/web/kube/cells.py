"""Cells of tables that are no single field of a document: a column names one of these instead of a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from reconciler.app.cluster.nodes import node_roles, node_status

__all__ = ["COMPUTED"]


def _ready(pod: Mapping[str, Any]) -> str:
    states = pod["status"]["containerStatuses"]
    return f"{sum(each['ready'] for each in states)}/{len(states)}"


def _status(pod: Mapping[str, Any]) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    state = pod["status"]["containerStatuses"][0]["state"]
    waiting = state.get("waiting") or state.get("terminated") or {}
    return str(waiting.get("reason") or pod["status"]["phase"])


COMPUTED: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "pod-ready": _ready,
    "pod-status": _status,
    "node-status": node_status,
    "node-roles": node_roles,
}
"""By the name that a column has as its path."""
