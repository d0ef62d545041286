"""Environment variables and labels: a mapping, or a list of NAME=VALUE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def read_environment(value: object, settings: Mapping[str, str]) -> dict[str, str]:
    """The variables of a service.

    A name without a value takes that of the setting of this name, as Compose takes it from its own environment, and is
    not set when there is no such setting. `NAME=` is set and empty.
    """
    found: dict[str, str] = {}
    for name, item in _pairs(value):
        if item is not None:
            found[name] = item
        elif name in settings:
            found[name] = settings[name]
    return found


def unusable_names(environment: Mapping[str, str]) -> Iterator[str]:
    """Messages about invalid names of variables, which would be lost or misread on the way to a container."""
    for name in environment:
        if not name:
            yield "a variable has no name; write NAME=VALUE, or NAME: VALUE"
        elif "=" in name or not name.isprintable():
            yield f"{name!r} is no name of a variable; use letters, digits and '_'"


def read_environment_as_before(value: object) -> dict[str, str]:
    """The variables as releases up to formula `v1` read them: a name without a value was empty in a list, and was left out
    of a mapping. Containers that run with them are not replaced by an upgrade alone.
    """
    is_mapping = isinstance(value, Mapping)
    return {name: item or "" for name, item in _pairs(value) if item is not None or not is_mapping}


def read_labels(value: object) -> dict[str, str]:
    """The labels of a service; one without a value is empty."""
    return {name: item or "" for name, item in _pairs(value)}


def _pairs(value: object) -> list[tuple[str, str | None]]:
    if isinstance(value, Mapping):
        return [(str(name), None if item is None else text_of(item)) for name, item in value.items()]
    entries = value if isinstance(value, list | tuple) else ()
    split = (str(entry).partition("=") for entry in entries)
    return [(name, item if equals else None) for name, equals, item in split]


def text_of(value: Any) -> str:
    """A value as the text that a container gets; Compose, too, hands out YAML's `true` and not Python's `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
