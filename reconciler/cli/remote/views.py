"""Revisions and routes as the API has them, and what a rollback would write."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.errors import PermanentError
from reconciler.api.kinds import API_VERSION, NAMESPACE, Ref
from reconciler.app.certificates import Certificate
from reconciler.app.changes import Change
from reconciler.app.revisions import differences
from reconciler.app.routes import RouteLine
from reconciler.certificates.listing import Row
from reconciler.certificates.wanted import Source
from reconciler.cli.remote.connection import Connection, belonging_to, path_of

if TYPE_CHECKING:
    from reconciler.store.base import StoredObject

__all__ = ["RemoteViews"]

_BASE: Final = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}"


class RemoteViews:
    """What a controller elsewhere computes for a client."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def revisions(self, ref: Ref) -> list[dict[str, Any]]:
        """The documents of the rollouts of an object, oldest first."""
        documents = self._connection.items(f"{_BASE}/revisions", belonging_to(ref))
        found = [each["rollout"] for each in documents]
        return sorted(found, key=lambda each: int(each["number"]))

    def routes(self, services: Collection[str]) -> list[RouteLine]:
        """The routes of these services, or of all."""
        found = [
            _line({**each["spec"], **each["status"]}) for each in self._connection.items(f"{_BASE}/routes")
        ]
        wanted = [line for line in found if not services or line.service in services]
        return sorted(
            wanted, key=lambda line: (line.host, line.path, line.port or 0, line.gateway, line.service)
        )

    def undo(self, stored: StoredObject[Any], number: int | None) -> Change:
        """What a rollback of an object would change, which the controller computes: it alone has the former settings."""
        sent = {"apiVersion": API_VERSION, "kind": "Rollback", "spec": {"revision": number} if number else {}}
        path = f"{path_of(stored.ref.kind, stored.name)}/rollback"
        answer = self._connection.ask("POST", path, sent, dryRun="All")
        fields = differences(stored.resource.spec.model_dump(mode="json", by_alias=True), answer["spec"])
        if several := [name for name, value in fields.items() if isinstance(value, list | dict)]:
            raise PermanentError(
                f"{', '.join(several)} is more than one value; write it with `vaultctl edit`"
            )
        to = f"revision {number}" if number else "the revision before"
        return Change(fields, lambda old: f"undo({stored.name}): back to {to}")


def _line(document: Mapping[str, Any]) -> RouteLine:
    certificate = document.get("certificate")
    return RouteLine(
        *(
            document["host"],
            document["path"],
            document["port"],
            document["service"],
            document["gateway"] or "",
        ),
        *(document["route"], document["state"], document["message"]),
        _certificate(certificate) if certificate else None,
    )


def _certificate(document: Mapping[str, Any]) -> Certificate:
    row = Row(
        *(document["host"], document["route"], Source(document["wanted"])),
        Source(document["source"]) if document["source"] else None,
        document["issuer"],
        _moment(document["notAfter"]),
        _moment(document["renewAt"]),
        document["state"] not in ("Missing", "Ended"),
        document["message"],
    )
    return Certificate(document["gateway"], row)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
