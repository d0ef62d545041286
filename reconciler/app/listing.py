"""Lists objects: spec, status and age."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.api.kinds import Ref
from reconciler.api.query.jsonpath import relaxed
from reconciler.app.columns import sort_key
from reconciler.app.documents import resource_document
from reconciler.app.finding import Shelf, kind_and_names, legible, refs_of
from reconciler.controller.report.verdict import Summary, summarize

if TYPE_CHECKING:
    from reconciler.api.kinds import Kind
    from reconciler.app.selecting import Selection
    from reconciler.store.base import Objects, Records, StoredObject

__all__ = ["Listed", "Seen", "chosen", "documents_of", "list_objects", "look_up", "sorted_by"]


class Statuses(Shelf, Protocol):
    """Objects and their statuses: the store itself, or a snapshot of it."""

    def of(self, kind: Kind) -> Statuses:
        """The same for another kind."""

    def status(self, name: str) -> Any:
        """The last status of an object."""


@dataclass(frozen=True)
class Seen:
    """An object and its status as they were at one moment."""

    stored: StoredObject[Any]
    status: Any


@dataclass(frozen=True)
class Listed:
    """One line of a list; `born` is when its oldest known rollout began."""

    stored: StoredObject[Any]
    status: Any
    summary: Summary
    born: datetime | None


def look_up(objects: Statuses, words: Sequence[str], known: Collection[Ref] = ()) -> dict[Ref, Seen]:
    """The objects of these words (see `refs_of`), or all of the kind if they name none. One that is `known` from an
    earlier look may be gone.

    Raises NotFoundError for any other missing one.
    """
    kind, names = kind_and_names(objects, words)
    shelf = objects.of(kind)
    wanted = refs_of(objects, words) if names else [Ref(kind, name) for name in shelf.names()]
    there = [ref for ref in wanted if ref not in known or ref.name in objects.of(ref.kind).names()]
    stored = legible(objects, [str(ref) for ref in there])
    return {each.ref: Seen(each, objects.of(each.ref.kind).status(each.name)) for each in stored}


def chosen(seen: Mapping[Ref, Seen], selection: Selection) -> dict[Ref, Seen]:
    """Those that are selected."""
    return {ref: each for ref, each in seen.items() if selection.selects(each.stored)}


def documents_of(objects: Objects, seen: Iterable[Seen]) -> list[dict[str, Any]]:
    """The whole documents of objects, with the time of their creation."""
    return [
        resource_document(each.stored, each.status, objects.of(each.stored.ref.kind).since(each.stored.name))
        for each in seen
    ]


def sorted_by(objects: Objects, seen: Mapping[Ref, Seen], path: str) -> dict[Ref, Seen]:
    """Objects in the order of the values at a path of their documents; those without one come first. Raises QueryError."""
    wanted = relaxed(path)
    keys = dict(
        zip(seen, (sort_key(each, wanted) for each in documents_of(objects, seen.values())), strict=True)
    )
    return {ref: seen[ref] for ref in sorted(seen, key=lambda ref: keys[ref])}


def list_objects(seen: Sequence[Seen], records: Records) -> list[Listed]:
    """The lines of a list."""
    lines = []
    for each in seen:
        revisions = records.of(each.stored.ref.kind).revisions(each.stored.name)
        born = revisions[0].created_at if revisions else None
        lines.append(Listed(each.stored, each.status, summarize(each.stored, each.status), born))
    return lines
