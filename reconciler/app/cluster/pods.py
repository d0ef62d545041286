"""Containers as Pods, and what they use: read-only views, so that the habits of Kubernetes work.

A document has what tells where and how a container runs. Environments, commands and mounts are left out: they may hold
secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.kinds import API_GROUP, API_VERSION, NAMESPACE, Ref
from reconciler.api.moments import format_moment
from reconciler.core.assess.observation import Health, State

if TYPE_CHECKING:
    from reconciler.engines.instances import Instance, Usage

__all__ = [
    "labels_of",
    "node_metrics",
    "pod_document",
    "pod_metrics",
]

LABELS: Final = {name: f"{API_GROUP}/{name}" for name in ("kind", "object", "workload", "role", "revision")}

_PHASES: Final = {
    State.CREATED: "Pending",
    State.RUNNING: "Running",
    State.PAUSED: "Running",
    State.RESTARTING: "Running",
    State.REMOVING: "Running",
    State.DEAD: "Failed",
}
_ENDED_WELL: Final = 0
_SIGNALS: Final = 128


def pod_document(
    instance: Instance,
    ref: Ref,
    uid: str,
    node: str,
    evicted: datetime | None = None,
    hide: Callable[[str], str] = str,
) -> dict[str, Any]:
    """The Pod of a container of the object `ref`; `uid` is the object's, `node` where it is if the engine has one machine.
    `evicted` is when its replacement was asked for,
    `hide` removes secrets from what the engine says.
    """
    created = format_moment(instance.created)
    owner = {
        "apiVersion": API_VERSION,
        "kind": ref.kind.name,
        "name": ref.name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    metadata: dict[str, Any] = {
        "name": instance.name,
        "namespace": NAMESPACE,
        "uid": _uid(instance.id),
        "creationTimestamp": created,
        "labels": labels_of(instance, ref),
        "ownerReferences": [owner],
    }
    if evicted is not None:
        metadata |= {"deletionTimestamp": format_moment(evicted), "deletionGracePeriodSeconds": 0}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": _spec(instance, node),
        "status": _status(instance, node, hide),
    }


def labels_of(instance: Instance, ref: Ref) -> dict[str, str]:
    """The labels by which its Pod is selected."""
    labels = {
        LABELS["kind"]: ref.kind.singular,
        LABELS["object"]: ref.name,
        LABELS["workload"]: instance.workload,
        LABELS["role"]: instance.role.value,
        LABELS["revision"]: instance.revision,
    }
    return {name: value for name, value in labels.items() if value}


def _uid(identifier: str) -> str:
    """An ID of a container in the form of a UID."""
    return "-".join(
        (identifier[:8], identifier[8:12], identifier[12:16], identifier[16:20], identifier[20:32])
    )


def _spec(instance: Instance, node: str) -> dict[str, Any]:
    limits: dict[str, str] = {}
    limits |= {"cpu": quantity_of_cpu(instance.cpus)} if instance.cpus else {}
    limits |= {"memory": str(instance.memory)} if instance.memory else {}
    container: dict[str, Any] = {
        "name": instance.workload,
        "image": instance.image,
        "resources": {"limits": limits} if limits else {},
        "tty": instance.has_terminal,
    }
    if instance.ports:
        container["ports"] = [{"containerPort": port, "protocol": "TCP"} for port in instance.ports]
    return {
        "containers": [container],
        "nodeName": instance.node or node,
        "restartPolicy": "Always",
        "hostNetwork": instance.on_host,
    }


def _status(instance: Instance, node: str, hide: Callable[[str], str]) -> dict[str, Any]:
    started = instance.started
    ready = instance.is_ready
    since = format_moment(started or instance.created)
    is_scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastTransitionTime": format_moment(instance.created),
    }
    conditions = [is_scheduled]
    for type_ in ("Initialized", "ContainersReady", "Ready"):
        is_true = ready if type_ != "Initialized" else instance.state is not State.CREATED
        conditions.append({"type": type_, "status": str(is_true), "lastTransitionTime": since})
    state = {
        "name": instance.workload,
        "image": instance.image,
        "imageID": "",
        "containerID": f"docker://{instance.id}",
        "ready": ready,
        "started": instance.state is State.RUNNING and instance.health is not Health.STARTING,
        "restartCount": instance.restarts,
        "state": _state(instance, hide),
        "lastState": {},
    }
    status: dict[str, Any] = {
        "phase": phase(instance),
        "conditions": conditions,
        "hostIP": "",
        "containerStatuses": [state],
        "qosClass": "BestEffort",
    }
    if started:
        status["startTime"] = format_moment(started)
    if instance.addresses:
        status["podIP"] = instance.addresses[0]
        status["podIPs"] = [{"ip": each} for each in instance.addresses]
    return status


def phase(instance: Instance) -> str:
    """The phase of a Pod."""
    if instance.state is State.EXITED:
        return "Succeeded" if instance.exit_code == _ENDED_WELL else "Failed"
    return _PHASES[instance.state]


def _state(instance: Instance, hide: Callable[[str], str]) -> dict[str, Any]:
    problem = {"message": hide(instance.problem)} if instance.problem else {}
    match instance.state:
        case State.RUNNING | State.PAUSED | State.REMOVING:
            return {"running": {"startedAt": format_moment(instance.started or instance.created)}}
        case State.CREATED:
            return {"waiting": {"reason": "ContainerCreating", **problem}}
        case State.RESTARTING:
            return {"waiting": {"reason": "CrashLoopBackOff", **problem}}
    ended = {"exitCode": instance.exit_code, "reason": _reason(instance), **problem}
    ended |= {"startedAt": format_moment(instance.started)} if instance.started else {}
    ended |= {"finishedAt": format_moment(instance.finished)} if instance.finished else {}
    ended |= {"signal": instance.exit_code - _SIGNALS} if instance.exit_code > _SIGNALS else {}
    return {"terminated": {**ended, "containerID": f"docker://{instance.id}"}}


def _reason(instance: Instance) -> str:
    if instance.out_of_memory:
        return "OOMKilled"
    return "Completed" if instance.exit_code == _ENDED_WELL else "Error"


def pod_metrics(instance: Instance, ref: Ref, before: Usage, after: Usage) -> dict[str, Any]:
    """What a container uses, from two measurements: the PodMetrics that `kubectl top pods` shows."""
    window, cpu = _rate(before, after)
    usage = {"cpu": quantity_of_cpu(cpu), "memory": quantity_of_memory(after.memory)}
    return {
        "apiVersion": "metrics.k8s.io/v1beta1",
        "kind": "PodMetrics",
        "metadata": {
            "name": instance.name,
            "namespace": NAMESPACE,
            "creationTimestamp": format_moment(after.at),
            "labels": labels_of(instance, ref),
        },
        "timestamp": format_moment(after.at),
        "window": f"{window:.3f}s",
        "containers": [{"name": instance.workload, "usage": usage}],
    }


def node_metrics(name: str, before: Usage, after: Usage) -> dict[str, Any]:
    """What the machine uses, from two measurements: the NodeMetrics that `kubectl top nodes` shows."""
    window, cpu = _rate(before, after)
    return {
        "apiVersion": "metrics.k8s.io/v1beta1",
        "kind": "NodeMetrics",
        "metadata": {"name": name, "creationTimestamp": format_moment(after.at)},
        "timestamp": format_moment(after.at),
        "window": f"{window:.3f}s",
        "usage": {"cpu": quantity_of_cpu(cpu), "memory": quantity_of_memory(after.memory)},
    }


def _rate(before: Usage, after: Usage) -> tuple[float, float]:
    """The seconds between two measurements, and the cores that were used meanwhile."""
    window = max((after.at - before.at).total_seconds(), 0.001)
    return window, max(0.0, after.cpu - before.cpu) / window


def quantity_of_cpu(cores: float) -> str:
    """Cores as a quantity, in billionths as the metrics server writes them."""
    return f"{round(cores * 1e9)}n" if cores < 1 else f"{round(cores * 1000)}m"


def quantity_of_memory(amount: int) -> str:
    """Bytes as a quantity."""
    return f"{amount // 1024}Ki"
