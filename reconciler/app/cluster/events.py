"""Events of the history as documents of Kubernetes, which `kubectl events` and `kubectl describe` show."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.kinds import API_VERSION, NAMESPACE
from reconciler.api.moments import format_moment

if TYPE_CHECKING:
    from reconciler.store.base import Event

__all__ = ["KIND", "event_documents"]

KIND: Final = "Event"
COMPONENT: Final = "vault-reconciler"
DIGITS: Final = 16


def event_documents(
    events: tuple[Event, ...], uids: Mapping[tuple[str, str], str], node: str
) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """The documents by their keys in the journal. `uids` are those of objects by kind and name; events of the whole
    machine are about the node.
    """
    documents = (_document(each, uids.get((each.kind, each.name), ""), node) for each in events)
    return {(KIND, each["metadata"]["name"]): each for each in documents}


def _document(event: Event, uid: str, node: str) -> dict[str, Any]:
    subject = {"kind": event.kind, "namespace": NAMESPACE, "name": event.name, "apiVersion": API_VERSION}
    if not event.kind:
        subject = {"kind": "Node", "name": node, "apiVersion": "v1"}
    first, last = format_moment(event.first_time), format_moment(event.last_time)
    # The same event is counted, not repeated: what tells events apart makes the name.
    identity = "\0".join((event.kind, event.name, event.reason, event.message, event.first_time.isoformat()))
    digest = hashlib.sha256(identity.encode()).hexdigest()[:DIGITS]
    return {
        "apiVersion": "v1",
        "kind": KIND,
        "metadata": {
            "name": f"{subject['name']}.{digest}",
            "namespace": NAMESPACE,
            "uid": f"{digest[:8]}-{digest[8:12]}-{digest[12:]}-8000-{digest[:12]}",
            "creationTimestamp": first,
        },
        "involvedObject": {**subject, **({"uid": uid} if uid else {})},
        "reason": event.reason,
        "message": event.message,
        "source": {"component": COMPONENT, "host": node},
        "firstTimestamp": first,
        "lastTimestamp": last,
        "count": event.count,
        "type": event.type,
        "eventTime": None,
        "reportingComponent": COMPONENT,
        "reportingInstance": node,
    }
