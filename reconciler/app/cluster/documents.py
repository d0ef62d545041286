"""The document of an object as a Kubernetes client sees it.

The metadata that a server sets is derived from what is stored, so that the state directory of a former release has it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from reconciler.api.moments import format_moment
from reconciler.app.documents import resource_document

if TYPE_CHECKING:
    from reconciler.api.kinds import Ref
    from reconciler.store.base import StoredObject

__all__ = ["ORIGIN", "TEARDOWN", "document", "uid_of"]

TEARDOWN: Final = "vault.internal/teardown"
"""The finalizer of an object that is being deleted: it stays until the controller has removed what runs."""
ORIGIN: Final = "vault.internal/origin"
"""The annotation that says where an object comes from that is not written here."""

_UIDS: Final = UUID("4f0f3c4e-5b0c-4c53-9d3c-0a9c1f5d7a10")


def document(stored: StoredObject[Any], status: Any, since: datetime) -> Mapping[str, Any]:
    """The document, without its resourceVersion. `since` is when the object was created."""
    whole = resource_document(stored, status, since)
    metadata: dict[str, Any] = {**whole["metadata"], "uid": uid_of(stored.ref, since)}
    for name in ("labels", "annotations"):
        if not metadata.get(name):
            metadata.pop(name, None)
    if stored.origin.kind != "apply":
        metadata["annotations"] = {**metadata.get("annotations", {}), ORIGIN: stored.origin.place}
    api = stored.api
    finalizers = list(api.finalizers) if api else []
    if deletion := stored.deletion or (api.deletion if api else None):
        metadata["deletionTimestamp"] = format_moment(deletion.requested_at)
        metadata["deletionGracePeriodSeconds"] = 0
        finalizers.append(TEARDOWN)
    if finalizers:
        metadata["finalizers"] = finalizers
    if api and api.owner_references:
        metadata["ownerReferences"] = list(api.owner_references)
    if api and api.managed_fields:
        metadata["managedFields"] = list(api.managed_fields)
    return {**whole, "metadata": metadata}


def uid_of(ref: Ref, since: datetime) -> str:
    """Another one for an object that is made again under the same name."""
    return str(uuid5(_UIDS, f"{ref}/{since.timestamp():.6f}"))
