"""What is wrong only when manifests stand side by side: a name or port used twice, dependencies in a circle.

Each service on its own is valid, so no model can find these; a controller that found them later would already
have started one of the two.
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
    """A VaultService and where it was written; `line` is that of its document, from 1."""

    service: VaultService
    path: Path
    line: int


@dataclass(frozen=True)
class Document:
    """A manifest with the tree that it was read from, for the positions of its fields."""

    manifest: Manifest
    root: Node

    def problem(self, field: str, message: str, suggestion: str) -> Problem:
        """A Problem at `field`, or at the nearest thing around it that was written."""
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
    """One Conflict for each second use of a name or a published port, and one for a circle of dependencies."""
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
        # From each service to the one it waits for, beginning with the first name, so that the text is
        # stable.
        circle = list(reversed(error.args[1][1:]))
        start = circle.index(min(circle))
        circle = circle[start:] + circle[:start]
        message = f"waits for itself: {' -> '.join([*circle, circle[0]])}"
        problem = documents[circle[0]].problem("spec.dependsOn", message, "remove one of these dependencies")
        yield Conflict(problem, tuple(documents[name] for name in circle))
