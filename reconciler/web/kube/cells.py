"""Cells of tables that are no single field of a document: a column names one of these instead of a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["COMPUTED"]

_ROLE: Final = "node-role.kubernetes.io/"


def _ready(pod: Mapping[str, Any]) -> str:
    states = pod["status"]["containerStatuses"]
    return f"{sum(each['ready'] for each in states)}/{len(states)}"


def _status(pod: Mapping[str, Any]) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    state = pod["status"]["containerStatuses"][0]["state"]
    waiting = state.get("waiting") or state.get("terminated") or {}
    return str(waiting.get("reason") or pod["status"]["phase"])


def _node_status(node: Mapping[str, Any]) -> str:
    return "Ready" if node["status"]["conditions"][0]["status"] == "True" else "NotReady"


def _roles(node: Mapping[str, Any]) -> str:
    found = [name.removeprefix(_ROLE) for name in node["metadata"]["labels"] if name.startswith(_ROLE)]
    return ",".join(sorted(found)) or "<none>"


COMPUTED: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "pod-ready": _ready,
    "pod-status": _status,
    "node-status": _node_status,
    "node-roles": _roles,
}
"""By the name that a column has as its path."""
