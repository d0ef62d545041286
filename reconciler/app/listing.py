"""Lists services: spec, status and age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from reconciler.app.finding import Shelf, existing
from reconciler.controller.report.verdict import Summary, summarize

if TYPE_CHECKING:
    from reconciler.api import Status
    from reconciler.store.base import Records, StoredObject

__all__ = ["Listed", "Seen", "list_services", "look_up"]


class Statuses(Shelf, Protocol):
    """Objects and their statuses: the store itself, or a snapshot of it."""

    def status(self, name: str) -> Status:
        """The last status of a service."""


@dataclass(frozen=True)
class Seen:
    """An object and its status as they were at one moment."""

    stored: StoredObject
    status: Status


@dataclass(frozen=True)
class Listed:
    """One line of a list; `born` is when its oldest known rollout began."""

    stored: StoredObject
    status: Status
    summary: Summary
    born: datetime | None


def look_up(objects: Statuses, names: Sequence[str], known: Sequence[str] = ()) -> dict[str, Seen]:
    """The services of these names, or all, each by its name. One that is `known` from an earlier look may be gone.

    Raises NotFoundError for any other missing name.
    """
    wanted = names or objects.names()
    stored = existing(objects, [name for name in wanted if name not in known or objects.get(name)])
    return {each.name: Seen(each, objects.status(each.name)) for each in stored}


def list_services(seen: Sequence[Seen], records: Records) -> list[Listed]:
    """The lines of a list."""
    lines = []
    for each in seen:
        revisions = records.revisions(each.stored.name)
        born = revisions[0].created_at if revisions else None
        lines.append(Listed(each.stored, each.status, summarize(each.stored, each.status), born))
    return lines
