"""Writes single values as YAML, with quotes where they are needed, or like those that were there before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reconciler.api.yaml_loader import YamlReader
from reconciler.api.yaml_nodes import Scalar, ScalarNode

__all__ = ["flow", "scalar"]


def flow(value: Any) -> str:
    """A value, or a mapping of values in braces, as one piece of a line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key, None)}: {flow(each)}" for key, each in value.items()) + "}"
    return scalar(value, None)


def scalar(value: Scalar, style: str | None) -> str:
    """A value as YAML that may stand anywhere; `style` is the quote that it had before, if any."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style != '"' and _is_plain(value):
        return value
    # JSON is YAML, if the few characters are escaped that only JSON allows.
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else _escaped(each) for each in quoted)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _is_plain(value: str) -> bool:
    """Whether a text may stand without quotes, wherever: only letters, digits and marks that mean nothing."""
    if not value or not value.isascii() or not (value[0].isalnum() or value[0] in "/._"):
        return False
    if not all(each.isalnum() or each in "/._-+%@:" for each in value) or ":" in (value[-1], value[0]):
        return False
    reader = YamlReader(value, Path())
    roots = list(reader.documents())
    return not reader.problems and [each.value for each in roots if isinstance(each, ScalarNode)] == [value]
