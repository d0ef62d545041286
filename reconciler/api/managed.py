"""Who has set which field of a document: the `managedFields` of Kubernetes, and server-side apply, which decides by them.

A field belongs to the managers that applied it or changed it last. An apply that would change a field of another manager is
a conflict; a field that a manager no longer applies, and that has no other manager, is removed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Final, Literal

from reconciler.api.errors import VaultError
from reconciler.api.kinds import API_VERSION

__all__ = [
    "Applied",
    "FieldConflictError",
    "IsSet",
    "Manager",
    "Operation",
    "apply",
    "changed",
    "created",
    "described",
    "managers_of",
    "within",
    "written",
]

Path = tuple[str, ...]
"""Steps as FieldsV1 writes them: `f:NAME` for a field, `v:JSON` for an item of a set."""
Document = Mapping[str, Any]
Operation = Literal["Apply", "Update"]
_Below = Mapping[Path, set[str]]
IsSet = Callable[[Path], bool]
"""Whether the list at a path is a set, whose items belong to managers one by one; any other list is one value."""

_IDENTITY: Final = frozenset({("f:apiVersion",), ("f:kind",), ("f:status",)})
_OWN: Final = frozenset({"labels", "annotations", "finalizers", "ownerReferences"})
"""The fields of `metadata` that managers set."""
_SET_OF_METADATA: Final = ("f:metadata", "f:finalizers")
_MISSING: Final = object()
MAX_MANAGERS: Final = 50
MAX_FIELDS: Final = 20_000
"""Of all managers of an object."""
MAX_NAME: Final = 128
KEPT_DEPTH: Final = 2


@dataclass(frozen=True, slots=True)
class Manager:
    """A manager, what it did, when it last did (RFC 3339), and its fields."""

    name: str
    operation: Operation
    time: str
    fields: frozenset[Path]

    @property
    def key(self) -> tuple[str, str]:
        """What is unique."""
        return self.name, self.operation


@dataclass(frozen=True, slots=True)
class Applied:
    """The document after an apply, and the managers of its fields."""

    document: dict[str, Any]
    managers: tuple[Manager, ...]


class FieldConflictError(VaultError):
    """An apply would change fields of other managers: `conflicts` are pairs of a manager and a field."""

    def __init__(self, conflicts: Sequence[tuple[str, str]]) -> None:
        count = "1 conflict" if len(conflicts) == 1 else f"{len(conflicts)} conflicts"
        listed = ", ".join(
            f'conflict with "{name}" using {API_VERSION}: {field}' for name, field in conflicts
        )
        super().__init__(f"Apply failed with {count}: {listed}")
        self.conflicts = tuple(conflicts)


def apply(
    live: Document,
    config: Document,
    managers: Iterable[Manager],
    by: str,
    now: str,
    is_set: IsSet,
    *,
    force: bool,
) -> Applied:
    """Apply a configuration. Raises FieldConflictError, unless `force` takes the fields over."""
    wanted = frozenset(_leaves(config, is_set))
    others = [each for each in managers if each.key != (by, "Apply")]
    mine = next((each for each in managers if each.key == (by, "Apply")), None)
    below = _steps_below(wanted)
    taken = {each.key: _contested(each.fields, wanted, below, live, config) for each in others}
    if not force:
        conflicts = [(key[0], described(path)) for key, paths in taken.items() for path in sorted(paths)]
        if conflicts:
            raise FieldConflictError(conflicts)
    others = [replace(each, fields=each.fields - taken[each.key]) for each in others]
    document = _merged(deepcopy(dict(live)), config, (), is_set)
    dropped = (mine.fields if mine else frozenset()) - wanted
    owned = wanted.union(*(each.fields for each in others))
    above = _steps_below(owned)

    def is_free(path: Path) -> bool:
        return path not in owned and path not in above

    gone: dict[Path, set[str]] = {}
    for path in filter(is_free, dropped):
        gone.setdefault(path[:-1], set()).add(path[-1])
    for parent in sorted(gone, key=len, reverse=True):
        _remove(document, parent, gone[parent], is_free)
    same = mine is not None and mine.fields == wanted and document == live
    entry = mine if same and mine is not None else Manager(by, "Apply", now, wanted)
    return Applied(document, _kept([*others, entry]))


def created(
    document: Document, by: str, operation: Operation, now: str, is_set: IsSet
) -> tuple[Manager, ...]:
    """The manager of a new document."""
    return _kept([Manager(by, operation, now, frozenset(_leaves(document, is_set)))])


def changed(
    before: Document, after: Document, managers: Iterable[Manager], by: str, now: str, is_set: IsSet
) -> tuple[Manager, ...]:
    """The managers after a change that was no apply: what has another value belongs to `by` now."""
    old, new = frozenset(_leaves(before, is_set)), frozenset(_leaves(after, is_set))
    gone = old - new
    set_now = (new - old) | {path for path in new & old if _differs(path, before, after)}
    kept = [
        replace(each, fields=each.fields - gone - set_now) for each in managers if each.key != (by, "Update")
    ]
    mine = next((each for each in managers if each.key == (by, "Update")), None)
    if set_now or mine is not None:
        fields = ((mine.fields if mine else frozenset()) - gone) | set_now
        kept.append(Manager(by, "Update", now if set_now or mine is None else mine.time, fields))
    return _kept(kept)


def within(document: Document, managers: Iterable[Manager], is_set: IsSet) -> tuple[Manager, ...]:
    """The managers without the fields that the document does not have: those that are not known are not written."""
    leaves = frozenset(_leaves(document, is_set))

    def is_there(path: Path) -> bool:
        return path in leaves or (path[-1][:2] == "f:" and _value(document, path) is not _MISSING)

    return _kept(replace(each, fields=frozenset(filter(is_there, each.fields))) for each in managers)


def managers_of(entries: Iterable[Mapping[str, Any]]) -> tuple[Manager, ...]:
    """Read `metadata.managedFields`. Raises ValueError for what is no such list."""
    found = []
    for each in entries:
        operation, name, fields = each.get("operation"), each.get("manager"), each.get("fieldsV1", {})
        if (
            operation not in ("Apply", "Update")
            or not isinstance(name, str)
            or not isinstance(fields, Mapping)
        ):
            raise ValueError("an entry needs manager, operation (Apply or Update) and fieldsV1")
        found.append(Manager(name, operation, str(each.get("time", "")), frozenset(_paths(fields, ()))))
    if len(found) > MAX_MANAGERS * 2:
        raise ValueError(f"there are more than {MAX_MANAGERS * 2} managers")
    return tuple(found)


def written(managers: Iterable[Manager]) -> tuple[dict[str, Any], ...]:
    """Write `metadata.managedFields`."""
    return tuple(
        {
            "manager": each.name,
            "operation": each.operation,
            "apiVersion": API_VERSION,
            "time": each.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": _nested(each.fields),
        }
        for each in managers
    )


def described(path: Path) -> str:
    """A path as errors name it: `.spec.replicas`, `.spec.driftIgnore[="x"]`."""
    return "".join(f".{step[2:]}" if step.startswith("f:") else f"[={step[2:]}]" for step in path)


def _kept(managers: Iterable[Manager]) -> tuple[Manager, ...]:
    """Those that have fields, in an order of their own. Of many, the last ones: clients choose their names and fields."""
    found = sorted((each for each in managers if each.fields), key=lambda each: (each.time, each.key))
    sizes = list(accumulate(len(each.fields) for each in reversed(found)))
    most = max(1, sum(size <= MAX_FIELDS for size in sizes))
    return tuple(found[-min(MAX_MANAGERS, most) :])


def _contested(
    fields: frozenset[Path], wanted: frozenset[Path], below: _Below, live: Document, config: Document
) -> frozenset[Path]:
    """Fields of another manager that an apply would give another value; `below` is what `wanted` has below its paths."""
    return frozenset(
        path
        for path in fields
        if (
            _differs(path, live, config)
            if path in wanted
            else _is_replaced(path, wanted, below, live, config)
        )
    )


def _is_replaced(
    path: Path, wanted: frozenset[Path], below: _Below, live: Document, config: Document
) -> bool:
    """Whether an apply puts another value in the place of a mapping that has this field, or a mapping in its place."""
    above = [path[:length] for length in range(1, len(path)) if path[:length] in wanted]
    if any(not isinstance(_value(config, each), Mapping | list) for each in above):
        return True
    if path not in below:
        return False
    value = _value(live, path)
    fits = {"f:": isinstance(value, Mapping), "v:": isinstance(value, list)}
    return value is not _MISSING and any(not fits.get(step, False) for step in below[path])


def _steps_below(fields: Iterable[Path]) -> _Below:
    """Each path that has fields below it, and how they go on: `f:` or `v:`. Made once, because clients may have 100,000."""
    found: dict[Path, set[str]] = {}
    for path in fields:
        for length, step in enumerate(path):
            found.setdefault(path[:length], set()).add(step[:2])
    return found


def _leaves(document: Document, is_set: IsSet) -> Iterator[Path]:
    for key, value in document.items():
        if key == "metadata":
            if isinstance(value, Mapping):
                of_managers = {name: each for name, each in value.items() if name in _OWN}
                for name, each in of_managers.items():
                    yield from _below(each, ("f:metadata", f"f:{name}"), is_set, is_root=True)
        elif (f"f:{key}",) not in _IDENTITY:
            yield from _below(value, (f"f:{key}",), is_set)


def _below(value: Any, path: Path, is_set: IsSet, *, is_root: bool = False) -> Iterator[Path]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _below(inner, (*path, f"f:{key}"), is_set)
    elif isinstance(value, list) and value and (is_set(path) or path == _SET_OF_METADATA):
        yield from ((*path, _item(each)) for each in value)
    elif not (is_root and not value):
        yield path


def _differs(path: Path, one: Document, other: Document) -> bool:
    """Whether two documents have other values at a path. An item of a set is its own value."""
    return path[-1][:2] != "v:" and bool(_value(one, path) != _value(other, path))


def _item(value: Any) -> str:
    return f"v:{json.dumps(value)}"


def _value(document: Any, path: Path) -> Any:
    for step in path:
        kind, _, name = step.partition(":")
        if kind == "f":
            document = document.get(name, _MISSING) if isinstance(document, Mapping) else _MISSING
        else:
            item = json.loads(name)
            document = item if isinstance(document, list) and item in document else _MISSING
        if document is _MISSING:
            return _MISSING
    return document


def _merged(live: Any, config: Any, path: Path, is_set: IsSet) -> Any:
    if isinstance(config, Mapping) and isinstance(live, dict):
        for key, value in config.items():
            inner = (*path, f"f:{key}")
            live[key] = _merged(live.get(key), value, inner, is_set)
        return live
    if isinstance(config, list) and isinstance(live, list) and (is_set(path) or path == _SET_OF_METADATA):
        known = set(map(_item, live))
        return [*live, *(each for each in config if _item(each) not in known)]
    return deepcopy(config)


def _remove(document: dict[str, Any], parent: Path, steps: set[str], is_free: Callable[[Path], bool]) -> None:
    """Remove fields or items, with mappings that become empty; `spec` itself stays, and what is not free."""
    found = _value(document, parent)
    if isinstance(found, dict):
        for step in steps:
            found.pop(step[2:], None)
    elif isinstance(found, list):
        found[:] = [each for each in found if _item(each) not in steps]
    if isinstance(found, dict | list) and not found and len(parent) >= KEPT_DEPTH and is_free(parent):
        _remove(document, parent[:-1], {parent[-1]}, is_free)


def _nested(fields: Iterable[Path]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path in sorted(fields):
        node = root
        for step in path:
            node = node.setdefault(step, {})
    return root


def _paths(node: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for step, inner in node.items():
        if step == ".":
            continue
        if step[:2] not in ("f:", "v:", "k:", "i:") or not isinstance(inner, Mapping):
            raise ValueError("fieldsV1 has steps such as f:spec only")
        here = (*path, step)
        if len(here) > 32:
            raise ValueError("fieldsV1 is nested too deeply")
        # Items of lists that are one value here were single ones elsewhere.
        if step[:2] in ("k:", "i:"):
            yield path
        elif any(each != "." for each in inner):
            yield from _paths(inner, here)
        else:
            yield (*path, _item(json.loads(step[2:]))) if step.startswith("v:") else here
