"""Finds values of a document by kubectl's JSONPath, and prints them as `kubectl -o jsonpath=…` does.

A field that a document does not have gives no value and no error, as with kubectl's `--allow-missing-template-keys`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.api.query.errors import QueryError
from reconciler.api.query.nodes import (
    Block,
    Field,
    Filter,
    Literal,
    Path,
    Piece,
    Recursive,
    Slice,
    Union,
    Wildcard,
)
from reconciler.api.query.syntax import parse, relaxed, template

__all__ = ["Path", "find", "parse", "printed", "relaxed", "render", "results", "template"]

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": lambda left, right: bool(left == right),
    "!=": lambda left, right: bool(left != right),
    "<": lambda left, right: bool(left < right),
    "<=": lambda left, right: bool(left <= right),
    ">": lambda left, right: bool(left > right),
    ">=": lambda left, right: bool(left >= right),
}
_ORDERED: Final = frozenset({"number", "text"})
_COMPARABLE: Final = _ORDERED | {"boolean"}


def find(path: Path, document: Any) -> list[Any]:
    """The values at a path. Raises QueryError for an index beyond a list, and for values that cannot be compared."""
    return _follow(path, [document])


def results(pieces: Sequence[Piece], document: Any) -> Iterator[list[Any]]:
    """The values of each piece of a template."""
    for piece in pieces:
        if isinstance(piece, Literal):
            yield [piece.value]
        elif isinstance(piece, Block):
            for each in find(piece.path, document):
                yield from results(piece.body, each)
        else:
            yield find(piece, document)


def render(pieces: Sequence[Piece], document: Any) -> str:
    """The text of a template. Values of one path are separated by a space."""
    return "".join(" ".join(map(printed, values)) for values in results(pieces, document))


def printed(value: Any) -> str:
    """A value as text: mappings and lists as JSON, a text without quotes."""
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False, default=str)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _follow(path: Path, values: list[Any]) -> list[Any]:
    for node in path:
        if isinstance(node, Literal):
            values = [node.value]
        elif isinstance(node, Union):
            values = [found for each in node.paths for found in _follow(each, values)]
        else:
            values = [found for value in values for found in _step(node, value)]
    return values


def _step(node: Field | Wildcard | Recursive | Slice | Filter, value: Any) -> list[Any]:
    """The values of one node below one value."""
    match node:
        case Field(name):
            if not name:
                return [value]
            return [value[name]] if isinstance(value, dict) and name in value else []
        case Wildcard():
            return _children(value)
        case Recursive():
            return list(_descend(value))
        case Slice():
            return [] if value is None else _slice(node, value)
        case Filter():
            return [] if value is None else [item for item in _list(value, "filtered") if _passes(node, item)]


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _descend(value: Any) -> Iterator[Any]:
    # Empty mappings and lists are left out, as kubectl does.
    if children := _children(value):
        yield value
        for child in children:
            yield from _descend(child)


def _list(value: Any, done: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise QueryError(f"{_shown(value)} is no list and cannot be {done}")
    return value


def _slice(node: Slice, value: Any) -> list[Any]:
    items = _list(value, "indexed")
    length = len(items)
    start = node.start or 0
    start += length if start < 0 else 0
    if node.single:
        if not 0 <= start < length:
            raise QueryError(f"[{node.start}] is beyond the list, which has {length} items")
        return [items[start]]
    end = length if node.end is None else node.end
    end += length if end < 0 else 0
    if start == end:
        return []
    if not 0 <= start < length or not 0 <= end <= length:
        raise QueryError(f"[{start}:{end}] is beyond the list, which has {length} items")
    if start > end:
        raise QueryError(f"[{start}:{end}] ends before it starts")
    step = 1 if node.step is None else node.step
    if step <= 0:
        raise QueryError("the step of a slice must be at least 1")
    return list(items[start:end:step])


def _passes(node: Filter, item: Any) -> bool:
    left = find(node.left, item)
    if not node.operator:
        return bool(left)
    right = find(node.right, item)
    if not left or not right:
        return False
    if len(left) > 1 or len(right) > 1:
        raise QueryError("a filter compares one value at a time")
    return _compare(node.operator, left[0], right[0])


def _compare(operator: str, left: Any, right: Any) -> bool:
    kinds = {_kind(left), _kind(right)}
    if len(kinds) > 1 or not kinds <= (_COMPARABLE if operator in ("==", "!=") else _ORDERED):
        raise QueryError(
            f"{_shown(left)} and {_shown(right)} cannot be compared; put text in quotes, and numbers in none"
        )
    return _COMPARISONS[operator](left, right)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "nothing" if value is None else type(value).__name__


def _shown(value: Any) -> str:
    # A value may be a secret; its type is enough to find the mistake.
    kind = _kind(value)
    return {"dict": "a mapping", "list": "a list", "tuple": "a list"}.get(kind, f"a {kind}")
