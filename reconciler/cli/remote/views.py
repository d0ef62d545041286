"""What the API tells of objects and of the controller's machine: the same methods as those of `app.views.Views`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from reconciler.api.errors import PermanentError
from reconciler.api.kinds import API_VERSION, NAMESPACE, Ref
from reconciler.app.certificates import Certificate
from reconciler.app.changes import Change
from reconciler.app.checkup.finding import Finding, Level
from reconciler.app.cluster.views import name_of_certificate
from reconciler.app.finding import existing_service
from reconciler.app.revisions import differences
from reconciler.app.routes import RouteLine
from reconciler.certificates.listing import Row
from reconciler.certificates.wanted import Source
from reconciler.cli.remote.connection import Connection, belonging_to, path_of
from reconciler.cli.remote.objects import RemoteObjects
from reconciler.controller.report.board import Exporter

if TYPE_CHECKING:
    from reconciler.store.base import StoredObject

__all__ = ["RemoteViews"]

_CLUSTER: Final = f"/apis/{API_VERSION}"
_BASE: Final = f"{_CLUSTER}/namespaces/{NAMESPACE}"
_CERTIFICATES: Final = f"{_BASE}/certificates"


class RemoteViews:
    """What a controller elsewhere computes for a client."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def revisions(self, ref: Ref) -> list[dict[str, Any]]:
        """The documents of the rollouts of an object, oldest first."""
        documents = self._connection.items(f"{_BASE}/revisions", belonging_to(ref))
        found = [each["rollout"] for each in documents]
        return sorted(found, key=lambda each: int(each["number"]))

    def routes(self, services: Collection[str] = ()) -> list[RouteLine]:
        """The routes of these services, or of all."""
        found = [_line(each) for each in self._documents(f"{_BASE}/routes")]
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

    def certificates(self) -> list[Certificate]:
        """The certificate of each host of a gateway that is to have one."""
        found = [_certificate(each) for each in self._documents(_CERTIFICATES)]
        return sorted(found, key=lambda each: (each.gateway, each.row.host))

    def renew(self, chosen: Sequence[Certificate]) -> None:
        """Ask for new certificates. Raises VaultError, before anything is asked for, for one that no server issues."""
        for query in ({"dryRun": "All"}, {}):
            for each in chosen:
                path = f"{_CERTIFICATES}/{quote(name_of_certificate(each), safe='')}/renewal"
                self._connection.ask("POST", path, {"apiVersion": API_VERSION, "kind": "Renewal"}, **query)

    def images(self, services: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The documents of the images of these services, or of all. Raises VaultError for a service that is not there."""
        objects = RemoteObjects(self._connection)
        wanted = {existing_service(objects, name, "images").name for name in services}
        found = self._documents(f"{_BASE}/images")
        return [each for each in found if not wanted or each["service"] in wanted]

    def findings(self) -> list[Finding]:
        """What is to be said about the engine, the machine, and the needs of services, for an admin."""
        return [
            Finding(each["check"], Level(each["level"]), each["message"], each["fix"])
            for each in self._documents(f"{_CLUSTER}/findings")
        ]

    def exporters(self) -> list[Exporter]:
        """Where every HAProxy that ran at the last pass serves its own metrics."""
        return [
            Exporter(each["object"], each["slot"], each["address"], each.get("node", ""))
            for each in self._documents(f"{_BASE}/exporters")
        ]

    def _documents(self, path: str) -> list[dict[str, Any]]:
        return [{**each["spec"], **each.get("status", {})} for each in self._connection.items(path)]


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
