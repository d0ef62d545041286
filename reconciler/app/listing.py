"""Lists objects: spec, status and age."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.api.kinds import Ref
from reconciler.app.finding import Shelf, kind_and_names, legible, refs_of
from reconciler.controller.report.verdict import Summary, summarize

if TYPE_CHECKING:
    from reconciler.api.kinds import Kind
    from reconciler.store.base import Records, StoredObject

__all__ = ["Listed", "Seen", "list_objects", "look_up"]


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


def list_objects(seen: Sequence[Seen], records: Records) -> list[Listed]:
    """The lines of a list."""
    lines = []
    for each in seen:
        revisions = records.of(each.stored.ref.kind).revisions(each.stored.name)
        born = revisions[0].created_at if revisions else None
        lines.append(Listed(each.stored, each.status, summarize(each.stored, each.status), born))
    return lines
