"""Fills in a template of a configuration with `@` as its mark, because `$` and braces are HAProxy's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from string import Template

__all__ = ["filled", "repeated"]


class _Template(Template):
    delimiter = "@"


def filled(path: Path, values: Mapping[str, object]) -> str:
    """The text of a template file with these values. Raises KeyError for a mark without a value."""
    return _read(path).substitute(values)


def repeated(line: str, values: Iterable[Mapping[str, object]]) -> str:
    """One line (or some) for each of these values."""
    template = _Template(line)
    return "\n".join(template.substitute(each) for each in values)


@cache
def _read(path: Path) -> _Template:
    return _Template(path.read_text(encoding="utf-8"))
