"""Tables: what `kubectl get` prints is made here, so that it needs to know nothing of our kinds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.query.jsonpath import Path, find, relaxed
from reconciler.web.kube.cells import COMPUTED
from reconciler.web.kube.served import Served

if TYPE_CHECKING:
    from reconciler.store.versions import Document

__all__ = ["Include", "columns", "human", "partial", "row", "table"]

Include = str
"""`None`, `Metadata` or `Object`: how much of the object goes with a row."""

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_YEAR: Final = 365 * _DAY
# As Kubernetes writes durations: below the bound in seconds, the amount in the first unit and what is left in the second.
_STEPS: Final = (
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)


def columns(served: Served) -> list[dict[str, Any]]:
    """The definitions of the columns."""
    name = {
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "The name of the object.",
        "priority": 0,
    }
    others = [
        {
            "name": each.title,
            "type": each.type,
            "format": "",
            "description": each.path,
            "priority": int(each.wide),
        }
        for each in served.columns
    ]
    return [name, *others] if served.named else others


def table(
    rows: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any], definitions: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """A table; only the first one of a watch has definitions."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(metadata),
        "columnDefinitions": definitions,
        "rows": list(rows),
    }


def row(served: Served, document: Document, include: Include, now: datetime) -> dict[str, Any]:
    """One row."""
    whole = json.loads(document.text)
    cells: list[Any] = [document.name] if served.named else []
    for each in served.columns:
        if each.path in COMPUTED:
            cells.append(COMPUTED[each.path](whole))
            continue
        value = next(iter(find(_path(each.path), whole)), None)
        if each.type == "date":
            value = "<unknown>" if value is None else human(value, now)
        elif each.type == "string" and value is not None:
            value = str(value)
        cells.append(value)
    shown = {"cells": cells}
    if include == "Object":
        return {**shown, "object": whole}
    return shown if include == "None" else {**shown, "object": partial(whole)}


def partial(document: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata alone."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": document["metadata"],
    }


def human(moment: str, now: datetime) -> str:
    """How long ago a moment was, as Kubernetes writes it: 90s, 5m30s, 47m, 2d."""
    seconds = int((now - datetime.fromisoformat(moment)).total_seconds())
    if seconds < 0:
        return "0s" if seconds > -2 else "<invalid>"
    for bound, unit, sign, rest_unit, rest_sign in _STEPS:
        if seconds < bound:
            rest = seconds % unit // rest_unit if rest_unit else 0
            return f"{seconds // unit}{sign}" + (f"{rest}{rest_sign}" if rest else "")
    return f"{seconds // _YEAR}y"


@cache
def _path(path: str) -> Path:
    return relaxed(path)
