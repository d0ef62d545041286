"""Compares revisions of a service, for history and undo.

Specs hold settings, and a setting may be a secret: names of fields are shown, values are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reconciler.api.errors import VaultError

if TYPE_CHECKING:
    from reconciler.api import Spec
    from reconciler.api.yaml_nodes import Scalar
    from reconciler.store.base import RevisionRecord

__all__ = ["changed_fields", "changes_back_to", "choose", "differences", "flat", "redacted"]


def redacted(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec without the values of its environment, and without the text of a Compose file, which may hold some."""
    shown = {**spec, "env": dict.fromkeys(spec.get("env") or {}, "…")}
    compose = spec.get("compose") or {}
    return {**shown, "compose": {**compose, "inline": "…"}} if compose.get("inline") else shown


def changed_fields(before: RevisionRecord | None, after: RevisionRecord) -> list[str]:
    """The dotted names of the fields in which two revisions differ."""
    if before is None:
        return ["first"]
    return list(differences(json.loads(before.spec), json.loads(after.spec)))


def choose(records: Sequence[RevisionRecord], number: int | None) -> RevisionRecord:
    """The revision with this number, or the newest complete one before the present one. Raises VaultError."""
    if number is not None:
        found = next((record for record in records if record.number == number), None)
        if found is None:
            raise VaultError(f"there is no revision {number}; there are {_numbers(records)}")
        return found
    present = records[-1].revision if records else ""
    earlier = [record for record in records if record.result == "Complete" and record.revision != present]
    if not earlier:
        raise VaultError("there is no complete revision before the present one")
    return earlier[-1]


def changes_back_to(record: RevisionRecord, present: Spec) -> dict[str, Scalar]:
    """The fields to set so that a spec gives that revision again. None removes one. Raises VaultError for a list."""
    from reconciler.api.revisioned import revisioned_fields

    revisioned = revisioned_fields(type(present))
    now = present.model_dump(mode="json", by_alias=True)
    found = differences(now, json.loads(record.spec)).items()
    changes = {name: value for name, value in found if _is_part_of(name, revisioned)}
    if several := [name for name, value in changes.items() if isinstance(value, list)]:
        raise VaultError(
            f"revision {record.number} had another {several[0]}, which is not a single value; edit the manifest"
        )
    return changes


def _is_part_of(name: str, fields: Sequence[str]) -> bool:
    """Whether a dotted name is one of these fields or below one: `env.TAG` is below `env`, `envFrom` is not."""
    return any(name == field or name.startswith(f"{field}.") for field in fields)


def _numbers(records: Sequence[RevisionRecord]) -> str:
    return ", ".join(str(record.number) for record in records) or "none"


def differences(before: Any, after: Any) -> dict[str, Any]:
    """The values of the document `after` that are others in `before`, by their dotted names; None for one that is gone."""
    old, new = flat(before), flat(after)
    return {name: new.get(name) for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)}


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """The values of a document by their dotted names."""
    if not isinstance(value, dict):
        return {prefix: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= flat(item, f"{prefix}.{key}" if prefix else key)
    return found
