"""The machines of an engine as Nodes: one read-only view for `vaultctl get nodes`, the Kubernetes API and its clients."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from reconciler.api.kinds import API_GROUP
from reconciler.api.moments import format_moment
from reconciler.api.reasons import Reason

if TYPE_CHECKING:
    from reconciler.engines.nodes import Node

__all__ = ["NODE", "ZONE", "node_document", "node_roles", "node_status"]

NODE: Final = "Node"
HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
OWN_ZONE: Final = "zone"
"""The label of a node of a Swarm that is shown as its zone; docs/swarm.md spreads replicas over it."""
_ROLE: Final = "node-role.kubernetes.io/"
_CORDONED: Final = "SchedulingDisabled"


def node_document(node: Node | None, name: str, since: datetime, version: str) -> dict[str, Any]:
    """The Node of one machine; None for one whose engine does not answer. `since` is when the controller has known it, if
    the engine does not say.
    """
    born = format_moment((node.since if node else None) or since)
    labels = {HOSTNAME: name, f"{_ROLE}control-plane": ""}
    if node:
        labels = {
            **node.labels,
            **({ZONE: node.labels[OWN_ZONE]} if OWN_ZONE in node.labels else {}),
            HOSTNAME: node.hostname or name,
            f"{_ROLE}{'control-plane' if node.is_manager else 'worker'}": "",
        }
    metadata: dict[str, Any] = {
        "name": name,
        "uid": str(uuid5(NAMESPACE_URL, f"node/{node.id if node and node.since else name}")),
        "creationTimestamp": born,
        "labels": labels,
    }
    if node:
        metadata["annotations"] = _annotations(node)
    capacity = {"cpu": str(node.cpus), "memory": f"{node.memory // 1024}Ki"} if node else {}
    addresses = [{"type": "Hostname", "address": name}]
    if node and node.address:
        addresses.insert(0, {"type": "InternalIP", "address": node.address})
    return {
        "apiVersion": "v1",
        "kind": NODE,
        "metadata": metadata,
        "spec": {} if node is None or node.takes_tasks else {"unschedulable": True},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [_condition(node, born)],
            "addresses": addresses,
            "nodeInfo": _info(node, version),
        },
    }


def _annotations(node: Node) -> dict[str, str]:
    found = {f"{API_GROUP}/availability": node.availability.value}
    if node.drain:
        found[f"{API_GROUP}/drained-since"] = format_moment(node.drain.since)
    if node.is_reachable is not None:
        found[f"{API_GROUP}/manager"] = (
            "leader" if node.is_leader else "reachable" if node.is_reachable else "unreachable"
        )
    return found


def _condition(node: Node | None, born: str) -> dict[str, str]:
    if node is None:
        state, reason, message = "Unknown", Reason.ENGINE_AWAY, "the container engine does not answer"
    elif node.is_up:
        state, reason, message = "True", Reason.ENGINE_READY, "the container engine answers"
    else:
        state, reason, message = "False", Reason.NODE_DOWN, f"the node {node.problem}"
    return {
        "type": "Ready",
        "status": state,
        "reason": reason.value,
        "message": message,
        "lastTransitionTime": born,
    }


def _info(node: Node | None, version: str) -> dict[str, str]:
    return {
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
        "kernelVersion": node.kernel if node else "",
        "osImage": (node.system or node.platform) if node else "",
        "containerRuntimeVersion": f"docker://{node.engine}" if node else "",
        "kubeletVersion": version,
        "kubeProxyVersion": "",
        "operatingSystem": node.platform if node else "linux",
        "architecture": node.architecture if node else "",
    }


def node_status(document: Mapping[str, Any]) -> str:
    """The STATUS of a Node, as Kubernetes prints it."""
    is_ready = document["status"]["conditions"][0]["status"] == "True"
    words = ["Ready" if is_ready else "NotReady"]
    if document["spec"].get("unschedulable"):
        words.append(_CORDONED)
    return ",".join(words)


def node_roles(document: Mapping[str, Any]) -> str:
    """The ROLES of a Node."""
    labels = document["metadata"]["labels"]
    found = [name.removeprefix(_ROLE) for name in labels if name.startswith(_ROLE)]
    return ",".join(sorted(found)) or "<none>"
