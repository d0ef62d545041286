"""What the API tells of the past: events; of rollouts only when the object was created."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from reconciler.api.kinds import KINDS, VAULT_SERVICE, Kind
from reconciler.cli.remote.connection import EVENTS, Connection
from reconciler.cli.remote.objects import RemoteObjects
from reconciler.store.base import Event, EventType, RevisionRecord

__all__ = ["RemoteRecords"]

NODE: Final = "Node"


class RemoteRecords:
    """Implements the readers of `store.base.Records` that verbs need which work over the API."""

    def __init__(self, connection: Connection, objects: RemoteObjects, kind: Kind = VAULT_SERVICE) -> None:
        self._connection = connection
        self._objects = objects
        self._kind = kind

    def of(self, kind: Kind) -> RemoteRecords:
        """The history of another kind."""
        return RemoteRecords(self._connection, self._objects, kind)

    def events(self, name: str | None = None, limit: int = 100) -> tuple[Event, ...]:
        """The newest `limit` events of one object, or of all, oldest first."""
        events = [_event(each) for each in self._connection.items(EVENTS) if isinstance(each, dict)]
        wanted = [
            each for each in events if name is None or (each.kind, each.name) == (self._kind.name, name)
        ]
        return tuple(sorted(wanted, key=lambda each: each.last_time)[-limit:])

    def revisions(self, name: str) -> tuple[RevisionRecord, ...]:
        """The first rollout, which began when the object was created: lists show its age."""
        created = self._objects.of(self._kind).since(name)
        if created is None:
            return ()
        return (RevisionRecord(name, 1, "", "{}", "", "", created, "", None),)


def _event(document: Mapping[str, Any]) -> Event:
    about = document.get("involvedObject") or {}
    kind = str(about.get("kind", ""))
    # Events of the whole machine are about its node there, and about nothing here.
    is_ours = kind in KINDS
    return Event(
        kind if is_ours else "",
        str(about.get("name", "")) if is_ours else "",
        cast("EventType", document.get("type") or "Normal"),
        str(document.get("reason", "")),
        str(document.get("message", "")),
        "",
        "",
        int(document.get("count") or 1),
        _moment(document.get("firstTimestamp")),
        _moment(document.get("lastTimestamp")),
    )


def _moment(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))
