"""Stores manifests, and compares them with the stored objects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from reconciler.api.kinds import Ref
    from reconciler.api.resource import Resource
    from reconciler.store.base import Objects, Origin, StoredObject

__all__ = ["Applied", "apply", "overrules"]

News = Literal["created", "configured", "unchanged"]


@dataclass(frozen=True)
class Applied:
    """An object as it was stored, and `before`, the one that it took the place of."""

    stored: StoredObject[Any]
    before: StoredObject[Any] | None

    @property
    def news(self) -> News:
        """The kind of change, in the words of `kubectl apply`."""
        if self.before is None:
            return "created"
        return "unchanged" if self.before.resource == self.stored.resource else "configured"


def apply(objects: Objects, resource: Resource, origin: Origin, now: datetime) -> Applied:
    """Store a manifest as the desired state, and request a pass, also when it is unchanged."""
    its = objects.of(resource.of_kind)
    before = its.get(resource.name)
    # The status of an earlier pass does not answer this request.
    return Applied(its.apply(resource, origin, requested_at=now.isoformat()), before)


def overrules(objects: Objects, ref: Ref) -> str:
    """A warning when an object comes from a source that will write it again; else empty."""
    before = objects.of(ref.kind).get(ref.name)
    if before is None or before.origin.kind == "apply":
        return ""
    return (
        f"{ref.label} comes from {before.origin.place}: a controller that follows it will undo what differs"
    )
