"""Storing what a user wants, and how that differs from what was stored before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from reconciler.api import VaultService
    from reconciler.store.base import Objects, Origin, StoredObject

__all__ = ["Applied", "apply", "overrules"]

News = Literal["created", "configured", "unchanged"]


@dataclass(frozen=True)
class Applied:
    """An object as it was stored, and `before`, the one that it took the place of."""

    stored: StoredObject
    before: StoredObject | None

    @property
    def news(self) -> News:
        """What that changed, in the word that `kubectl apply` has for it."""
        if self.before is None:
            return "created"
        return "unchanged" if self.before.service == self.stored.service else "configured"


def apply(objects: Objects, service: VaultService, origin: Origin, now: datetime) -> Applied:
    """Store what is wanted from now on, and ask for a pass, also when it is the same as before."""
    before = objects.get(service.name)
    # What an earlier pass saw is no answer to this request.
    return Applied(objects.apply(service, origin, requested_at=now.isoformat()), before)


def overrules(objects: Objects, name: str) -> str:
    """A warning when an object comes from a source that will write it again; else empty."""
    before = objects.get(name)
    if before is None or before.origin.kind == "apply":
        return ""
    return f"{name} comes from {before.origin.place}: a controller that follows it will undo what differs"
