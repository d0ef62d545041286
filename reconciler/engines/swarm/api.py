"""Requests about Swarm's objects: services, tasks, nodes, networks, secrets and configs of a project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.errors import EngineError, RefusedError
from reconciler.engines.nodes import Node
from reconciler.engines.swarm.marks import PROJECT
from reconciler.engines.swarm.rows import read_nodes

__all__ = ["CONFLICT", "OUT_OF_SEQUENCE", "SwarmApi", "status_of"]

TRIES: Final = 5
"""How often a change is tried that another one came before."""
OUT_OF_SEQUENCE: Final = "out of sequence"
INVALID: Final = (400, 403)
CONFLICT: Final = 409

Row = Mapping[str, Any]


class SwarmApi:
    """Swarm's part of the engine's API. Threads may share it."""

    def __init__(self, docker: DockerApi) -> None:
        self.docker = docker

    def services(self, project: str) -> Sequence[Row]:
        """The services of a project."""
        return self.labelled_services(f"{PROJECT}={project}")

    def labelled_services(self, label: str) -> Sequence[Row]:
        """The services with this label, of whatever value, or with `NAME=VALUE`."""
        query = {"filters": {"label": [label]}}
        rows: Sequence[Row] = self.docker.read("list services", "/services", query=query)
        return rows

    def tasks(self, project: str = "", *services: str) -> Sequence[Row]:
        """The tasks of a project, or of these services, also those that have ended."""
        filters = {"service": list(services)} if services else {"label": [f"{PROJECT}={project}"]}
        rows: Sequence[Row] = self.docker.read("list tasks", "/tasks", query={"filters": filters}, missing=[])
        return rows

    def all_tasks(self) -> Sequence[Row]:
        """The tasks of all services."""
        rows: Sequence[Row] = self.docker.read("list tasks", "/tasks")
        return rows

    def nodes(self, own: str = "") -> Mapping[str, Node]:
        """All nodes; `own` is the ID of that of this engine."""
        return read_nodes(self.docker.read("list nodes", "/nodes"), own)

    def change_node(self, identifier: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
        """Replace the spec of a node by what `change` makes of it. Raises EngineError, also when others change it all the
        time, and RefusedError if there is no such node.
        """
        what = f"change node {identifier}"
        if not self._change(what, "/nodes/{}", identifier, change):
            raise RefusedError(f"the Swarm has no node {identifier}")

    def own_node(self) -> str:
        """The ID of the node of this engine. Raises RefusedError if it cannot change the Swarm."""
        return self.own_name()[0]

    def own_name(self) -> tuple[str, str]:
        """The ID and the name of the node of this engine. Raises RefusedError if it cannot change the Swarm."""
        said = self.docker.read("say what it is", "/info") or {}
        swarm = said.get("Swarm") or {}
        if not swarm.get("ControlAvailable"):
            state = swarm.get("LocalNodeState") or "inactive"
            raise RefusedError(
                f"the engine is no manager of a Swarm (it is {state}): run `docker swarm init`, or run the controller on a "
                "manager"
            )
        return str(swarm["NodeID"]), str(said.get("Name") or swarm["NodeID"])

    def service(self, identifier: str) -> Row | None:
        """One service; None if it is gone."""
        row: Row | None = self.docker.read("inspect a service", "/services/{}", identifier, missing=None)
        return row

    def create_service(self, spec: Mapping[str, Any]) -> None:
        """Create a service. Raises RefusedError for a definition that Swarm calls invalid."""
        try:
            self.docker.send(f"create service {spec['Name']}", "POST", "/services/create", body=spec)
        except EngineError as error:
            if status_of(error) in INVALID:
                raise RefusedError(str(error)) from error
            raise

    def change_service(
        self, identifier: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]
    ) -> Row | None:
        """Replace the spec of a service by what `change` makes of it; None if it is gone. Raises EngineError, also when
        others change it all the time.
        """
        return self._change(f"update service {identifier}", "/services/{}", identifier, change)

    def _change(
        self, what: str, path: str, identifier: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]
    ) -> Row | None:
        for _ in range(TRIES):
            row: Row | None = self.docker.read(what, path, identifier, missing=None)
            if row is None:
                return None
            spec, version = change(dict(row["Spec"])), row["Version"]["Index"]
            if spec == row["Spec"]:
                return row
            try:
                self.docker.send(
                    what,
                    "POST",
                    f"{path}/update",
                    identifier,
                    query={"version": version},
                    body=spec,
                    missing=None,
                )
            except EngineError as error:
                if OUT_OF_SEQUENCE not in str(error):
                    raise
                continue
            return row
        raise EngineError(f"could not {what}: others change it at the same time")

    def remove_service(self, identifier: str) -> None:
        """Remove a service, if it is there."""
        self.docker.send("remove a service", "DELETE", "/services/{}", identifier, missing=None)

    def network(self, name: str) -> Row | None:
        """The network of this name."""
        # The engine takes a name for a pattern, so it may find more.
        rows = self.docker.read("list networks", "/networks", query={"filters": {"name": [name]}})
        return next((row for row in rows if row["Name"] == name), None)

    def networks(self, project: str) -> Sequence[Row]:
        """The overlays of a project."""
        query = {"filters": {"label": [f"{PROJECT}={project}"]}}
        rows: Sequence[Row] = self.docker.read("list networks", "/networks", query=query)
        return rows

    def overlays(self) -> Sequence[Row]:
        """All overlays."""
        rows: Sequence[Row] = self.docker.read(
            "list networks", "/networks", query={"filters": {"driver": ["overlay"]}}
        )
        return rows

    def ask_registry(self, image: str) -> None:
        """Have the engine ask the registry for an image. Raises EngineError if that does not answer, or has not got it."""
        self.docker.read("ask the registry", "/distribution/{}/json", image)

    def create_network(self, spec: Mapping[str, Any]) -> None:
        """Create a network, unless it is there."""
        try:
            self.docker.send(f"create network {spec['Name']}", "POST", "/networks/create", body=spec)
        except EngineError as error:
            if status_of(error) != CONFLICT:
                raise

    def files(self, kind: str, project: str) -> Mapping[str, Row]:
        """The `kind` (secrets or configs) of a project by name."""
        query = {"filters": {"label": [f"{PROJECT}={project}"]}}
        rows = self.docker.read(f"list {kind}", f"/{kind}", query=query)
        return {row["Spec"]["Name"]: row for row in rows}

    def records(self, label: str) -> Sequence[Row]:
        """The configs of all projects with this label."""
        rows: Sequence[Row] = self.docker.read(
            "list configs", "/configs", query={"filters": {"label": [label]}}
        )
        return rows

    def create_file(self, kind: str, spec: Mapping[str, Any]) -> str:
        """Create one of these; returns its ID."""
        made = self.docker.send(f"create one of the {kind}", "POST", f"/{kind}/create", body=spec)
        return str(made["ID"])

    def remove_file(self, kind: str, identifier: str) -> None:
        """Remove one of these, if it is there. Raises EngineError while a service uses it."""
        self.docker.send(f"remove one of the {kind}", "DELETE", f"/{kind}/{{}}", identifier, missing=None)

    def remove_volume(self, name: str) -> None:
        """Remove a volume of this node, if it is there. Raises EngineError while a container uses it."""
        self.docker.send("remove a volume", "DELETE", "/volumes/{}", name, missing=None)

    def volumes(self, project: str) -> Sequence[str]:
        """The volumes of a project on this node."""
        query = {"filters": {"label": [f"{PROJECT}={project}"]}}
        found = self.docker.read("list volumes", "/volumes", query=query).get("Volumes") or ()
        return [row["Name"] for row in found]


def status_of(error: EngineError) -> int:
    """The HTTP status of the answer that an error comes from; 0 if there was none."""
    return int(getattr(error.__cause__, "status_code", 0) or 0)
