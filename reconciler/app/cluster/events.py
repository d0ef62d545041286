"""Events of the history as documents of Kubernetes, which `kubectl events` and `kubectl describe` show."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from reconciler.api.kinds import API_VERSION, KINDS, NAMESPACE, Ref
from reconciler.api.moments import format_moment
from reconciler.app.cluster.written import InvalidError, Mistake
from reconciler.store.base import Event, EventType

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["KIND", "Posted", "event_documents", "posted", "would_be"]

KIND: Final = "Event"
COMPONENT: Final = "vault-reconciler"
DIGITS: Final = 16
MAX_MESSAGE: Final = 1024
_REASON: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,127}")


@dataclass(frozen=True, slots=True)
class Posted:
    """An event that a client tells of an object."""

    ref: Ref
    type: EventType
    reason: str
    message: str


def posted(document: Mapping[str, Any]) -> Posted:
    """What a client has sent. Raises InvalidError."""
    about = document.get("involvedObject")
    about = about if isinstance(about, Mapping) else {}
    kind, name = KINDS.get(str(about.get("kind"))), about.get("name")
    type_, reason, message = (document.get(each) for each in ("type", "reason", "message"))
    rules = {
        "involvedObject.kind": (kind is not None, f"must be one of {', '.join(KINDS)}"),
        "involvedObject.name": (isinstance(name, str) and bool(name), "is required"),
        "involvedObject.namespace": (about.get("namespace") in (None, "", NAMESPACE), f"must be {NAMESPACE}"),
        "type": (type_ in get_args(EventType), f"must be one of {', '.join(get_args(EventType))}"),
        "reason": (
            isinstance(reason, str) and _REASON.fullmatch(reason) is not None,
            "must be a word of letters and digits",
        ),
        "message": (
            isinstance(message, str) and 0 < len(message) <= MAX_MESSAGE,
            f"must be a text of at most {MAX_MESSAGE} characters",
        ),
    }
    if wrong := [Mistake(field, rule) for field, (is_kept, rule) in rules.items() if not is_kept]:
        raise InvalidError(wrong)
    assert kind is not None
    return Posted(Ref(kind, str(name)), cast("EventType", type_), str(reason), str(message))


def would_be(posted: Posted, now: datetime, node: str) -> Mapping[str, Any]:
    """The document of an event that is not kept, made of what was understood of the one that was sent."""
    ref = posted.ref
    event = Event(ref.kind.name, ref.name, posted.type, posted.reason, posted.message, "", "", 1, now, now)
    return _document(event, "", node)


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
