"""Answers of get and list, in each form.

Documents are kept as text and joined, so that a list of a thousand costs no parsing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.kinds import NAMESPACE
from reconciler.web.kube import table
from reconciler.web.kube.asked import Form, ListOptions, position
from reconciler.web.kube.errors import expired, not_found

if TYPE_CHECKING:
    from reconciler.store.versions import Document
    from reconciler.web.kube.collection import Collection
    from reconciler.web.kube.served import Served

__all__ = ["listed", "selects", "shown"]

_TOO_OLD: Final = "The provided continue parameter is too old for a consistent list: start a new list."


def selects(options: ListOptions, document: Document, labels: Mapping[str, str], served: Served) -> bool:
    """Whether the selectors select a document with these labels."""
    if not options.labels.matches(labels):
        return False
    asked = {field for field, _, _ in options.fields.terms}
    fields = {"metadata.name": document.name, "metadata.namespace": NAMESPACE if served.namespaced else ""}
    if asked - fields.keys():
        whole = json.loads(document.text)
        fields |= {field: _field(whole, field) for field in asked - fields.keys()}
    return options.fields.matches(fields)


def _field(document: Any, field: str) -> str:
    for step in field.split("."):
        document = document.get(step) if isinstance(document, Mapping) else None
    return document if isinstance(document, str) else ""


def shown(collection: Collection, name: str, form: Form, include: str, now: datetime) -> bytes:
    """One object. Raises ApiError when there is none."""
    served = collection.served
    found = collection.document(name)
    if found is None:
        raise not_found(served.group, served.plural, name)
    return formed(collection, found, form, include, now)


def formed(collection: Collection, document: Document, form: Form, include: str, now: datetime) -> bytes:
    """A document in a form."""
    if form == "table":
        row = table.row(collection.served, document, include, now)
        metadata = {"resourceVersion": str(document.number)}
        return _text(table.table([row], metadata, table.columns(collection.served)))
    if form == "partial":
        return _text(table.partial(json.loads(document.text)))
    return document.text


def listed(collection: Collection, options: ListOptions, form: Form, include: str, now: datetime) -> bytes:
    """A list, or a page of one. Raises ApiError when the page before is too old."""
    served = collection.served
    number, documents = collection.documents()
    if options.after:
        # All pages say the number of the first, so that a watch from there sees what changed between them.
        if options.number is None or collection.since(options.number, 1) is None:
            raise expired(_TOO_OLD)
        number = options.number
        documents = [each for each in documents if each.name > options.after]
    elif options.match == "Exact" and options.number != number:
        raise expired(f"only the newest version is listed: {number}")
    found = [each for each in documents if selects(options, each, each.labels, served)]
    metadata: dict[str, Any] = {"resourceVersion": str(number)}
    if options.limit and len(found) > options.limit:
        rest = len(found) - options.limit
        found = found[: options.limit]
        metadata["continue"] = position(number, found[-1].name)
        if not options.labels.requirements and not options.fields.terms:
            metadata["remainingItemCount"] = rest
    if form == "table":
        rows = [table.row(served, each, include, now) for each in found]
        return _text(table.table(rows, metadata, table.columns(served)))
    if form == "partial":
        items = [_text(table.partial(json.loads(each.text))) for each in found]
        return _joined("PartialObjectMetadataList", "meta.k8s.io/v1", metadata, items)
    return _joined(f"{served.kind}List", served.api_version, metadata, [each.text for each in found])


def _joined(kind: str, api_version: str, metadata: Mapping[str, Any], items: Sequence[bytes]) -> bytes:
    head = _text({"kind": kind, "apiVersion": api_version, "metadata": metadata})
    return head[:-1] + b',"items":[' + b",".join(items) + b"]}"


def _text(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
