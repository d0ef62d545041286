"""Finds conflicts between manifests: a name or port that is used twice, and circular dependencies.

Each resource on its own is valid, so the models cannot find these. They are found before the controller acts on one of
the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from reconciler.api.errors import Problem
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.api.resource import Resource
from reconciler.api.yaml_nodes import Node, locate

__all__ = ["Conflict", "Document", "Manifest", "conflicts"]


@dataclass(frozen=True)
class Manifest:
    """A resource and its position; `line` is the first line of its document, from 1."""

    resource: Resource
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
    """One Conflict for each second use of a name of a kind or of a published port, and one for a circular dependency."""
    names: dict[Ref, Document] = {}
    ports: dict[int, tuple[str, Document]] = {}
    for document in documents:
        resource = document.manifest.resource
        first = names.setdefault(resource.ref, document)
        if first is not document:
            message = f"{resource.name} is already defined at {first.place('metadata.name')}"
            problem = document.problem("metadata.name", message, "rename one of them")
            yield Conflict(problem, (first, document))
            continue
        for field, port in resource.ports.items():
            there, first = ports.setdefault(port, (field, document))
            if first is not document:
                user = first.manifest.resource.ref.label
                message = f"{port} is already used by {user} at {first.place(there)}"
                problem = document.problem(
                    field, message, f"give each {_owners(first, document)} a port of its own"
                )
                yield Conflict(problem, (first, document))
    yield from _circle(names)


def _owners(*documents: Document) -> str:
    kinds = {document.manifest.resource.of_kind for document in documents}
    return "service" if kinds == {VAULT_SERVICE} else "of them"


def _circle(documents: dict[Ref, Document]) -> Iterator[Conflict]:
    graph = {ref: document.manifest.resource.waits_for for ref, document in documents.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # Begins with the first name in sorted order, so that the text is stable.
        circle: list[Ref] = list(reversed(error.args[1][1:]))
        start = circle.index(min(circle, key=str))
        circle = circle[start:] + circle[:start]
        names = [ref.label for ref in circle]
        message = f"waits for itself: {' -> '.join([*names, names[0]])}"
        problem = documents[circle[0]].problem("spec.dependsOn", message, "remove one of these dependencies")
        yield Conflict(problem, tuple(documents[ref] for ref in circle))
