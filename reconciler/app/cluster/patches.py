"""Patches of documents: JSON Merge Patch (RFC 7396) and JSON Patch (RFC 6902).

Strategic merge patches are for Kubernetes' own types only: for custom resources a server refuses them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from reconciler.api.errors import VaultError

__all__ = ["PatchError", "json_patch", "merge_patch"]

MAX_OPERATIONS: Final = 10_000
MAX_COPIED: Final = 3 * 1024 * 1024
"""Characters of JSON that the copies of one patch may add: each can double what those before it made."""
_MISSING: Final = object()


class PatchError(VaultError):
    """A patch is not valid, or does not fit the document."""


def merge_patch(document: Any, patch: Any) -> Any:
    """The document with the fields of the patch; null removes one."""
    if not isinstance(patch, Mapping):
        return deepcopy(patch)
    merged = dict(document) if isinstance(document, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(document: Any, operations: Any) -> Any:
    """The document after these operations. Raises PatchError; then nothing is changed."""
    if not isinstance(operations, Sequence) or isinstance(operations, str):
        raise PatchError("the patch is not a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(f"the patch has more than {MAX_OPERATIONS} operations")
    found, copied = deepcopy(document), 0
    for number, operation in enumerate(operations):
        if not isinstance(operation, Mapping):
            raise PatchError(f"operation {number} of the patch is not an object")
        try:
            if operation.get("op") == "copy":
                copied += len(json.dumps(_get(found, _pointer(operation, "from"))))
                if copied > MAX_COPIED:
                    raise PatchError(f"its copies have more than {MAX_COPIED} characters")
            found = _apply(found, operation)
        except PatchError as error:
            raise PatchError(f"operation {number} of the patch: {error}") from None
        except RecursionError:
            raise PatchError(f"operation {number} of the patch: the document is nested too deeply") from None
    return found


def _apply(document: Any, operation: Mapping[str, Any]) -> Any:
    path = _pointer(operation, "path")
    match operation.get("op"):
        case "add":
            return _set(document, path, deepcopy(_value(operation)), insert=True)
        case "replace":
            _get(document, path)
            return _set(document, path, deepcopy(_value(operation)), insert=False)
        case "remove":
            return _remove(document, path)
        case "test":
            if not _same(_get(document, path), _value(operation)):
                raise PatchError(f"the value at {operation['path']} is another one")
            return document
        case "copy":
            return _set(document, path, deepcopy(_get(document, _pointer(operation, "from"))), insert=True)
        case "move":
            source = _pointer(operation, "from")
            if path[: len(source)] == source and path != source:
                raise PatchError("a value cannot be moved into itself")
            value = _get(document, source)
            return _set(_remove(document, source), path, value, insert=True)
    raise PatchError("has no op of add, remove, replace, move, copy, test")


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise PatchError("has no value")
    return operation["value"]


def _pointer(operation: Mapping[str, Any], key: str) -> tuple[str, ...]:
    text = operation.get(key)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"has no {key} such as /spec/replicas")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])


def _get(document: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        document = _child(document, step)
        if document is _MISSING:
            raise PatchError(f"there is nothing at /{'/'.join(path)}")
    return document


def _child(document: Any, step: str) -> Any:
    if isinstance(document, dict):
        return document.get(step, _MISSING)
    if isinstance(document, list):
        index = _index(document, step)
        return document[index] if index < len(document) else _MISSING
    return _MISSING


def _set(document: Any, path: tuple[str, ...], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent = _get(document, path[:-1])
    last = path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        index = len(parent) if last == "-" and insert else _index(parent, last)
        if index > len(parent) - (not insert):
            raise PatchError(f"/{'/'.join(path)} is beyond the end of the list")
        if insert:
            parent.insert(index, value)
        else:
            parent[index] = value
    else:
        raise PatchError(f"/{'/'.join(path[:-1])} is neither an object nor a list")
    return document


def _remove(document: Any, path: tuple[str, ...]) -> Any:
    if not path:
        raise PatchError("the whole document cannot be removed")
    _get(document, path)
    parent = _get(document, path[:-1])
    del parent[_index(parent, path[-1]) if isinstance(parent, list) else path[-1]]
    return document


def _index(items: list[Any], step: str) -> int:
    # No sign, no leading zero, no other digits.
    if not (step.isascii() and step.isdigit() and len(step) < 10) or (len(step) > 1 and step[0] == "0"):
        raise PatchError(f"{step!r} is no position in a list")
    return int(step)


def _same(one: Any, other: Any) -> bool:
    # In Python, True == 1.
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
