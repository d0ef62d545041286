"""Stores manifests, and compares them with the stored objects."""

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
        """The kind of change, in the words of `kubectl apply`."""
        if self.before is None:
            return "created"
        return "unchanged" if self.before.service == self.stored.service else "configured"


def apply(objects: Objects, service: VaultService, origin: Origin, now: datetime) -> Applied:
    """Store manifests as the desired state, and request a pass, also when they are unchanged."""
    before = objects.get(service.name)
    # The status of an earlier pass does not answer this request.
    return Applied(objects.apply(service, origin, requested_at=now.isoformat()), before)


def overrules(objects: Objects, name: str) -> str:
    """A warning when an object comes from a source that will write it again; else empty."""
    before = objects.get(name)
    if before is None or before.origin.kind == "apply":
        return ""
    return f"{name} comes from {before.origin.place}: a controller that follows it will undo what differs"
