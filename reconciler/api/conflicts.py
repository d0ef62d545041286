"""Finds conflicts between manifests: a name or port that is used twice, and circular dependencies.

Each service on its own is valid, so the models cannot find these. They are found before the controller starts one of
the two services.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from reconciler.api.errors import Problem
from reconciler.api.vaultservice import VaultService
from reconciler.api.yaml_nodes import Node, locate

__all__ = ["Conflict", "Document", "Manifest", "conflicts"]


@dataclass(frozen=True)
class Manifest:
    """A VaultService and its position; `line` is the first line of its document, from 1."""

    service: VaultService
    path: Path
    line: int


@dataclass(frozen=True)
class Document:
    """A manifest with its YAML tree, which has the positions of its fields."""

    manifest: Manifest
    root: Node

    def problem(self, field: str, message: str, suggestion: str) -> Problem:
        """A Problem at `field`, or at its nearest parent that exists in the document."""
        node, _ = locate(self.root, field.split("."))
        return Problem(self.manifest.path, node.line, node.column, field, message, suggestion)

    def place(self, field: str) -> str:
        """`file:line:column` of `field`."""
        return self.problem(field, "", "").place


@dataclass(frozen=True)
class Conflict:
    """A problem between documents; none of `parties` can be acted on until it is solved."""

    problem: Problem
    parties: tuple[Document, ...]


def conflicts(documents: Sequence[Document]) -> Iterator[Conflict]:
    """One Conflict for each second use of a name or a published port, and one for a circular dependency."""
    names: dict[str, Document] = {}
    ports: dict[int, Document] = {}
    for document in documents:
        service = document.manifest.service
        first = names.setdefault(service.name, document)
        if first is not document:
            message = f"{service.name} is already defined at {first.place('metadata.name')}"
            problem = document.problem("metadata.name", message, "rename one of them")
            yield Conflict(problem, (first, document))
            continue
        port = service.spec.ports.http
        first = ports.setdefault(port, document)
        if first is not document:
            user = first.manifest.service.name
            message = f"{port} is already used by {user} at {first.place('spec.ports.http')}"
            problem = document.problem("spec.ports.http", message, "give each service a port of its own")
            yield Conflict(problem, (first, document))
    yield from _circle(names)


def _circle(documents: dict[str, Document]) -> Iterator[Conflict]:
    graph = {name: document.manifest.service.spec.depends_on for name, document in documents.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # Begins with the first name in sorted order, so that the text is stable.
        circle = list(reversed(error.args[1][1:]))
        start = circle.index(min(circle))
        circle = circle[start:] + circle[:start]
        message = f"waits for itself: {' -> '.join([*circle, circle[0]])}"
        problem = documents[circle[0]].problem("spec.dependsOn", message, "remove one of these dependencies")
        yield Conflict(problem, tuple(documents[name] for name in circle))
