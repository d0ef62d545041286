"""Checks the shape of a plugin's fragment: plain values, and the types of the fields that the core reads.

A plugin may return anything that Python has. A value that passes can be hashed, compared and written as YAML without
further type checks in later steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

MAX_DEPTH: Final = 32
"""Levels of nesting; Compose's own deepest field has eight."""
MAX_VALUES: Final = 20_000
"""Values of a whole fragment; the largest that people write have a few hundred."""
MAX_BITS: Final = 256
"""Of a whole number; Compose reads 64, and Python writes none of more than 4300 digits."""
MAX_PLACE: Final = 60
"""Characters of the path of a value that is too deep or too big; the whole path would fill a screen."""
MAX_REPLICAS: Final = 1000

_UNWRITABLE: Final = re.compile("[\0\ud800-\udfff]")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}")


class ShapeError(ValueError):
    """A value that no fragment can hold; the message begins with its place."""

    def __init__(self, place: str, complaint: str) -> None:
        super().__init__(f"{escaped(place)}{complaint}")


def escaped(text: str) -> str:
    """`text` as it is, or with escapes for what could end a line or change a terminal."""
    return text if text.isprintable() else repr(text)[1:-1]


def plain(value: object) -> Any:
    """A copy of the fragment in dicts with text keys, lists, texts, numbers, booleans and None. Raises ShapeError."""
    return _Copier().copy(value, "the fragment", 0)


@dataclass
class _Copier:
    """One pass over one fragment; counts what it has copied, because a small object can unfold to a huge one."""

    copied: int = field(default=0)

    def copy(self, value: object, place: str, depth: int) -> Any:
        self.copied += 1
        if depth > MAX_DEPTH or self.copied > MAX_VALUES:
            limit = f"{MAX_DEPTH} levels" if depth > MAX_DEPTH else f"{MAX_VALUES} values"
            raise ShapeError(place[:MAX_PLACE], f"…: a fragment has at most {limit}; does it contain itself?")
        match value:
            case None | bool():
                return value
            case str():
                return _text(value, place)
            case int() if int.bit_length(value) <= MAX_BITS:
                return int(value)
            case float() if isfinite(value):
                return float(value)
            case Mapping():
                return {
                    self._key(key, place): self.copy(item, _inside(place, key), depth + 1)
                    for key, item in value.items()
                }
            case list() | tuple():
                return [self.copy(item, f"{place}[{at}]", depth + 1) for at, item in enumerate(value)]
        raise ShapeError(place, f" is {_kind(value)}; use text, whole or decimal numbers, lists and mappings")

    def _key(self, key: object, place: str) -> str:
        if not isinstance(key, str):
            raise ShapeError(place, f" has the key {key!r}; keys must be text")
        return _text(key, place)


def _kind(value: object) -> str:
    if isinstance(value, float):
        return f"the number {value}"
    return (
        f"a number of more than {MAX_BITS} bits"
        if isinstance(value, int)
        else f"of type {type(value).__name__}"
    )


def is_unwritable(text: str) -> bool:
    """Whether a text holds a NUL or a lone surrogate, which neither a file nor an environment can hold."""
    return _UNWRITABLE.search(text) is not None


def _text(value: str, place: str) -> str:
    # The plain text of an enumeration's member, too.
    text = str.__str__(value)
    if is_unwritable(text):
        raise ShapeError(place, " holds a character that no file can hold")
    return text


def _inside(place: str, key: object) -> str:
    return str(key) if place == "the fragment" else f"{place}.{key}"


def misnamed(name: str) -> str | None:
    """What is wrong with the name of a service, volume or network; None if nothing is."""
    return None if _NAME.fullmatch(name) else f"{name!r} is no name; use letters, digits, '-', '_' and '.'"


def misshapen(service: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the fields of a service that the core reads: place in the service, and what belongs there."""
    for path, fits, wanted in _SHAPES:
        if path.partition(".")[0] not in service:
            continue
        value: Any = service
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None and not fits(value):
            yield f"{path} must be {wanted}"


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() and value.isdecimal() and len(value) <= 4 and int(value) <= MAX_REPLICAS
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_REPLICAS


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _is_pairs(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_scalar, value.values()))
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_names(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(item is None or isinstance(item, Mapping) for item in value.values())
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_entries(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str | int | Mapping) for item in value)


def _is_sources(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(item.get("source") if isinstance(item, Mapping) else item, str) for item in value
    )


def _is_image(value: object) -> bool:
    return isinstance(value, str) and _IMAGE.fullmatch(value) is not None


_SHAPES: Final[tuple[tuple[str, Callable[[object], bool], str], ...]] = (
    ("image", _is_image, "an image reference such as example/web:1.0"),
    ("environment", _is_pairs, "a mapping of texts, or a list of NAME=VALUE"),
    ("labels", _is_pairs, "a mapping of texts, or a list of NAME=VALUE"),
    ("networks", _is_names, "a list of names, or a mapping of mappings"),
    ("depends_on", _is_names, "a list of names, or a mapping of mappings"),
    ("container_name", _is_text, "a text"),
    ("volumes", _is_entries, "a list of texts and mappings"),
    ("ports", _is_entries, "a list of texts, numbers and mappings"),
    ("configs", _is_sources, "a list of names, or of mappings with a source"),
    ("secrets", _is_sources, "a list of names, or of mappings with a source"),
    ("healthcheck", _is_mapping, "a mapping"),
    ("deploy", _is_mapping, "a mapping"),
    ("deploy.resources", _is_mapping, "a mapping"),
    ("deploy.resources.limits", _is_mapping, "a mapping"),
    ("deploy.replicas", _is_count, f"a whole number from 0 to {MAX_REPLICAS}"),
    ("scale", _is_count, f"a whole number from 0 to {MAX_REPLICAS}"),
)
