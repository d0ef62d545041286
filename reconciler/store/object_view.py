"""Reads objects for tables without building their models.

Importing and building the models takes longer than everything else that a table needs. `ObjectStore` validates objects
when it writes them, so they need no second validation. If a file does not look as expected, the models read it, because
they report what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from reconciler.api.kinds import VAULT_SERVICE, Kind, Ref
from reconciler.store import files
from reconciler.store.layout import OBJECT, STATUS, has, key_of, names_in, objects_of

if TYPE_CHECKING:
    from reconciler.api import Status
    from reconciler.store.base import StoredObject
    from reconciler.store.objects import ObjectStore

_NULLABLE: Final = frozenset(
    {"api", "deletion", "evicted", "revision", "requested_at", "last_handled_reconcile_at"}
)
"""Fields that are omitted while they are None; if any other field is missing, the models read the file."""


class ObjectView:
    """A JSON object whose fields are attributes with the names of the models: `observed_generation` is
    `observedGeneration`. Raises AttributeError for a missing field.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        first, *others = name.split("_")
        for written in (name, first + "".join(word.title() for word in others)):
            if written in self._fields:
                return _seen(self._fields[written])
        if name in _NULLABLE:
            return None
        raise AttributeError(name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectView) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]


class ObjectViews:
    """Reads the files of `ObjectStore`; falls back to `models` for files that do not look as expected."""

    def __init__(
        self, state_dir: Path, models: Callable[[], ObjectStore[Any, Any]], kind: Kind = VAULT_SERVICE
    ) -> None:
        self._state = state_dir
        self._kind = kind
        self._objects = objects_of(state_dir, kind)
        self._models = models

    def of(self, kind: Kind) -> ObjectViews:
        """The objects of another kind in the same state directory."""
        return ObjectViews(self._state, lambda: self._models().of(kind), kind)

    def names(self) -> tuple[str, ...]:
        """The names of all objects, sorted."""
        return names_in(self._objects)

    def get(self, name: str) -> StoredObject | None:
        """The object of that name, not validated. Raises PermanentError for a file that cannot be parsed."""
        seen = self._read(name, OBJECT)
        key = key_of(self._kind)
        if seen is None or not _has(
            seen, f"{key}.metadata.generation", f"{key}.spec.suspend", "problem_reason"
        ):
            return self._models().get(name)
        resource = seen._fields[key]
        shorthands = {
            "resource": {**resource, "is_suspended": resource["spec"]["suspend"]},
            "name": name,
            "ref": Ref(self._kind, name),
            "generation": resource["metadata"]["generation"],
        }
        return cast("StoredObject", ObjectView({**seen._fields, **shorthands}))

    def kept(self, name: str) -> StoredObject | None:
        """The object of that name as it was last written, validated."""
        return self._models().kept(name)

    def status(self, name: str) -> Status:
        """Its status, not validated."""
        seen = self._read(name, STATUS)
        counted = ("replicas.serving", "nodes") if self._kind == VAULT_SERVICE else ()
        if seen is None or not _has(seen, "observed_generation", "conditions", *counted):
            return cast("Status", self._models().status(name))
        return cast("Status", seen)

    def _read(self, name: str, file: str) -> ObjectView | None:
        content = files.read(self._objects / name / file) if has(self._objects, name) else None
        try:
            fields = json.loads(content or "null")
        except ValueError:
            return None
        return ObjectView(fields) if isinstance(fields, dict) else None


def _seen(value: Any) -> Any:
    if isinstance(value, dict):
        return ObjectView(value)
    return tuple(map(_seen, value)) if isinstance(value, list) else value


def _has(seen: ObjectView, *paths: str) -> bool:
    """Whether all these fields exist."""
    try:
        for path in paths:
            field: Any = seen
            for step in path.split("."):
                field = getattr(field, step)
    except AttributeError:
        return False
    return True
