"""Containers as the API shows them, Pods, and their logs: what `logs` and `exec` ask of an engine elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from reconciler.api.errors import VaultError
from reconciler.api.kinds import API_GROUP, NAMESPACE, Ref
from reconciler.cli.remote.connection import Connection, belonging_to
from reconciler.core.assess.observation import Container, Health, State
from reconciler.core.desired.stack import Role

__all__ = ["PODS", "RemotePods"]

PODS: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"
_STATES: Final = {"Pending": State.CREATED, "Running": State.RUNNING}


class RemotePods:
    """The containers of objects of a controller. A container's ID is the name of its Pod."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, ref: Ref, workload: str | None = None) -> list[Container]:
        """The containers of an object, by name: of a workload, or the web replicas without one. Raises VaultError for a
        workload that has none.
        """
        everything = self.all_of(ref)
        if workload is None:
            return [each for each in everything if each.role is Role.WEB]
        found = [each for each in everything if each.workload == workload]
        if not found:
            there = ", ".join(sorted({each.workload for each in everything})) or "none"
            raise VaultError(
                f"{ref.name} has no container of a workload {workload!r}; it has some of: {there}"
            )
        return found

    def choose(self, ref: Ref, wanted: str | None) -> Container:
        """A running container of the workload `wanted`, or the one of that name; without it, a web replica. Healthy ones
        come first. Raises VaultError if none runs.
        """
        named = [each for each in self.all_of(ref) if each.name == wanted]
        running = [each for each in named or self.of(ref, wanted) if each.state is State.RUNNING]
        if not running:
            what = wanted or "its web workload"
            raise VaultError(
                f"{ref.name} has no running container of {what}; `vaultctl describe {ref.name}` says more"
            )
        return min(running, key=lambda each: (each.stopping, each.health is not Health.HEALTHY, each.name))

    def all_of(self, ref: Ref) -> list[Container]:
        """All containers of an object, by name."""
        documents = self._connection.items(PODS, belonging_to(ref))
        return sorted(map(_container, documents), key=lambda each: each.name)

    def logs(self, container: str, lines: int) -> str:
        """The last lines that a container wrote."""
        return "\n".join(self._connection.lines(f"{PODS}/{container}/log", tailLines=str(lines)))

    def follow(self, container: str, lines: int) -> Iterator[str]:
        """The last lines that a container wrote and every new one, until it ends."""
        return self._connection.lines(f"{PODS}/{container}/log", tailLines=str(lines), follow="true")


def _container(document: Mapping[str, Any]) -> Container:
    metadata, status = document["metadata"], document["status"]
    labels = metadata.get("labels", {})
    is_ready = any(
        each.get("type") == "Ready" and each.get("status") == "True" for each in status["conditions"]
    )
    return Container(
        metadata["name"],
        metadata["name"],
        labels.get(f"{API_GROUP}/workload", ""),
        Role(labels.get(f"{API_GROUP}/role", Role.DEPENDENCY.value)),
        labels.get(f"{API_GROUP}/revision", ""),
        _STATES.get(status["phase"], State.EXITED),
        Health.HEALTHY if is_ready else Health.UNHEALTHY,
        datetime.fromisoformat(metadata["creationTimestamp"]),
        stopping="deletionTimestamp" in metadata,
    )
