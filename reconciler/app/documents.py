"""JSON documents for programs: resources, events, revisions and differences.

`-o json` and the HTTP server show them; fields are never removed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reconciler.api.kinds import NAMESPACE
from reconciler.api.moments import format_moment
from reconciler.app.revisions import changed_fields, redacted

if TYPE_CHECKING:
    from reconciler.api.resource import Resource
    from reconciler.api.status import ObjectStatus
    from reconciler.store.base import Event, RevisionRecord, StoredObject

__all__ = ["claimed", "event_document", "resource_document", "revision_document", "revision_documents", "url"]


def resource_document(
    stored: StoredObject[Any], status: ObjectStatus, since: datetime | None = None
) -> dict[str, Any]:
    """The whole resource with its status; `apply` reads it back. `since` is when it was first applied."""
    document: dict[str, Any] = stored.resource.model_copy(update={"status": status}).to_document()
    document["metadata"]["namespace"] = NAMESPACE
    if since is not None:
        document["metadata"]["creationTimestamp"] = format_moment(since)
    return document


def event_document(event: Event) -> dict[str, Any]:
    """An event; times are RFC 3339."""
    return {
        "kind": event.kind,
        "service": event.name,
        "type": event.type,
        "reason": event.reason,
        "message": event.message,
        "revision": event.revision,
        "commit": event.commit,
        "count": event.count,
        "firstTime": event.first_time.isoformat(),
        "lastTime": event.last_time.isoformat(),
    }


def revision_documents(records: Sequence[RevisionRecord]) -> list[dict[str, Any]]:
    """The rollouts of one object, oldest first; `changed` are the fields that differ from the one before."""
    pairs = zip((None, *records), records, strict=False)
    return [
        {**revision_document(record), "changed": changed_fields(before, record)} for before, record in pairs
    ]


def revision_document(record: RevisionRecord) -> dict[str, Any]:
    """A rollout and its target spec, without the values of settings."""
    return {
        "number": record.number,
        "revision": record.revision,
        "cause": record.cause,
        "commit": record.commit,
        "createdAt": record.created_at.isoformat(),
        "finishedAt": record.finished_at.isoformat() if record.finished_at else None,
        "result": record.result or None,
        "reason": record.rejection.reason if record.rejection else None,
        "message": record.rejection.message if record.rejection else None,
        "spec": redacted(json.loads(record.spec)),
    }


def url(resource: Resource) -> str:
    """The URL of a VaultService on this machine, or the first host and path of its routes; other kinds have none."""
    if places := claimed(resource):
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        return f"{places[0]}{more}"
    return f"http://127.0.0.1:{resource.spec.ports.http}/" if hasattr(resource.spec, "ports") else ""


def claimed(resource: Resource) -> tuple[str, ...]:
    """The hosts and paths, and the ports, that a VaultService claims of gateways."""
    spec = resource.spec
    # A stored object that was not validated has no fields that are unset.
    single, several, tcp = (getattr(spec, name, None) for name in ("route", "routes", "tcp"))
    routes = [*([single] if single else []), *(several or ())]
    return (
        *(f"{host}{route.path}" for route in routes for host in route.hostnames),
        *(f"port {each.port}" for each in tcp or ()),
    )
