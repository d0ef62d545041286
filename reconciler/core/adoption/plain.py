"""The Compose file of a released service: what ran, for `docker compose` alone.

Volumes are named and external, so no `docker compose down --volumes` removes what the service has written. HAProxy is gone,
so the web service publishes the port itself, and one container can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, Final

from reconciler.core.compose.mounts import read_mounts
from reconciler.core.compose.networks import read_networks
from reconciler.core.desired.stack import JSON, Role, Stack
from reconciler.core.names import CONTROL_NET, VAULT_NET

OURS: Final = "internal.vault."
DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class PlainProject:
    """The document, its services in the order in which they are started, jobs left out, and what is otherwise."""

    document: JSON
    order: tuple[str, ...]
    notes: tuple[str, ...]


def plain(stack: Stack, project: str, http: int, bind: str = "") -> PlainProject:
    """A stack as a Compose project of this name that publishes `http`."""
    workloads = {w.name: w for w in stack.of(Role.WEB, Role.DEPENDENCY, Role.JOB)}
    used: set[str] = set()
    services: dict[str, Any] = {}
    # Without the default network of the adopted project there is none of that name, and Compose makes one.
    default = VAULT_NET if DEFAULT not in stack.document["networks"] else ""
    for name, workload in workloads.items():
        body = {k: v for k, v in stack.document["services"][name].items() if k not in ("deploy", "labels")}
        deploy = dict(stack.document["services"][name].get("deploy") or {})
        if workload.role is Role.WEB:
            deploy.pop("replicas", None)
            body["ports"] = [f"{bind}:{http}:{workload.port}" if bind else f"{http}:{workload.port}"]
        if deploy:
            body["deploy"] = deploy
        marks = stack.document["services"][name].get("labels") or {}
        if own := {key: value for key, value in marks.items() if not key.startswith(OURS)}:
            body["labels"] = own
        if "networks" in body:
            body["networks"] = {
                DEFAULT if network == default else network: how
                for network, how in read_networks(body["networks"]).items()
                if network not in (VAULT_NET, CONTROL_NET) or network == default
            }
            used |= body["networks"].keys()
        services[name] = body
    document: dict[str, Any] = {"name": project, "services": services}
    if volumes := _volumes(stack):
        document["volumes"] = volumes
    networks = {n: dict(b or {}) for n, b in stack.document["networks"].items() if n in used}
    if networks:
        document["networks"] = networks
    for section in ("configs", "secrets"):
        if stack.document.get(section):
            document[section] = stack.document[section]
    order = tuple(w.name for w in stack.of(Role.DEPENDENCY, Role.WEB))
    return PlainProject(document, _sorted(stack, order), tuple(_notes(stack)))


def hindrances(stack: Stack) -> Iterator[str]:
    """Why a stack cannot be released."""
    if stack.sealed or stack.secret_files:
        yield (
            "it has settings of encrypted files or spec.secrets, which a Compose file would hold as plain text; put them "
            "into files of its own and name these in the Compose file first"
        )
    if len(stack.web) != 1:
        yield "it has more than one web service behind one port, which only a proxy can serve"


def named_volumes(stack: Stack) -> frozenset[str]:
    """The engine's names of the volumes of a stack."""
    return frozenset(body["name"] for body in _volumes(stack).values())


def _volumes(stack: Stack) -> dict[str, Any]:
    return {
        key: {"name": (body or {}).get("name") or f"{stack.project}_{key}", "external": True}
        for key, body in (stack.document.get("volumes") or {}).items()
        if any(
            mount.source == key
            for service in stack.document["services"].values()
            for mount in read_mounts(service.get("volumes"))
        )
    }


def _sorted(stack: Stack, names: tuple[str, ...]) -> tuple[str, ...]:
    needs: Mapping[str, list[str]] = {
        w.name: [other for other in w.needs if other in names] for w in stack.workloads if w.name in names
    }
    return tuple(TopologicalSorter(needs).static_order())


def _notes(stack: Stack) -> Iterator[str]:
    for workload in stack.web:
        if workload.replicas > 1:
            yield f"services.{workload.name}: one of {workload.replicas} is left, since one container can publish a port"
    for workload in stack.of(Role.JOB):
        yield f"services.{workload.name}: is a job, and is not run; `docker compose up` without names would run it again"
    if stack.routed is not None:
        yield "its routes end; clients use the port"
