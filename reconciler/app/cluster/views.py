"""Revisions and routes as documents of the API, computed while a client asks: views, like Pods."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.kinds import API_GROUP, NAMESPACE, Ref
from reconciler.api.moments import format_moment
from reconciler.app.documents import revision_documents
from reconciler.app.routes import route_document

if TYPE_CHECKING:
    from reconciler.app.routes import RouteLine
    from reconciler.store.base import RevisionRecord

__all__ = ["REVISION", "ROUTE", "revisions", "routes"]

REVISION, ROUTE = "Revision", "Route"
DIGITS: Final = 10
_OF_SPEC: Final = ("host", "path", "port", "service", "gateway", "route")

Documents = Mapping[str, Mapping[str, Any]]


def revisions(histories: Iterable[tuple[Ref, Sequence[RevisionRecord]]]) -> Documents:
    """The rollouts of objects by their names, such as `files.3`: without the values of settings."""
    found = {}
    for ref, records in histories:
        for record, document in zip(records, revision_documents(records), strict=True):
            name = f"{ref.label.replace('/', '.')}.{record.number}"
            found[name] = {
                "metadata": {
                    "name": name,
                    "namespace": NAMESPACE,
                    "creationTimestamp": format_moment(record.created_at),
                    "labels": _labels(kind=ref.kind.singular, object=ref.name),
                },
                "rollout": document,
            }
    return found


def routes(lines: Iterable[RouteLine], since: datetime) -> Documents:
    """The routes that services claim; `since` is when the state directory was made."""
    found = {}
    for line in lines:
        document = route_document(line)
        identity = "\0".join(str(document[each]) for each in _OF_SPEC)
        name = f"{line.service}.{hashlib.sha256(identity.encode()).hexdigest()[:DIGITS]}"
        found[name] = {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "creationTimestamp": format_moment(since),
                "labels": _labels(object=line.service, gateway=line.gateway),
            },
            "spec": {each: document[each] for each in _OF_SPEC},
            "status": {key: value for key, value in document.items() if key not in _OF_SPEC},
        }
    return found


def _labels(**labels: str) -> dict[str, str]:
    return {f"{API_GROUP}/{name}": value for name, value in labels.items() if value}
