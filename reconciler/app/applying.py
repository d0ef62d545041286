"""Stores manifests, and compares them with the stored objects."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from reconciler.store.base import UnreadableError, readable

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
        is_same = self.before.resource == self.stored.resource and not self.before.problem
        return "unchanged" if is_same else "configured"


def apply(objects: Objects, resource: Resource, origin: Origin, now: datetime) -> Applied:
    """Store a manifest as the desired state, and request a pass, also when it is unchanged."""
    its = objects.of(resource.of_kind)
    before = _before(objects, resource.ref)
    # The status of an earlier pass does not answer this request.
    return Applied(its.apply(resource, origin, requested_at=now.isoformat()), before)


def overrules(objects: Objects, ref: Ref) -> str:
    """A warning when an object comes from a source that will write it again; else empty."""
    before = _before(objects, ref)
    if before is None or before.origin.kind == "apply":
        return ""
    return (
        f"{ref.label} comes from {before.origin.place}: a controller that follows it will undo what differs"
    )


def _before(objects: Objects, ref: Ref) -> StoredObject[Any] | None:
    """What is stored, as far as it can be read: a damaged object is replaced."""
    with suppress(UnreadableError):
        return readable(objects.of(ref.kind), ref.name)
    return None
