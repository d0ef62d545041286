"""The cells of tables: of a kind's columns, and of columns that a user names as `TITLE:PATH`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from reconciler.api.query.errors import QueryError
from reconciler.api.query.jsonpath import Path, find, printed, relaxed

__all__ = ["CustomColumn", "cell", "cells", "custom_columns", "sort_key"]

NONE: Final = "<none>"
"""What kubectl prints where a document has no value."""


@dataclass(frozen=True, slots=True)
class CustomColumn:
    """A column of `-o custom-columns=…`."""

    title: str
    path: Path


def cell(document: Mapping[str, Any], path: str) -> str:
    """The value at a path such as `.status.conditions[?(@.type=="Ready")].status`; empty when there is none."""
    return " ".join(printed(value) for value in find(_compiled(path), document) if value is not None)


def custom_columns(spec: str) -> tuple[CustomColumn, ...]:
    """The columns of `NAME:.metadata.name,REPLICAS:.spec.replicas`. Raises QueryError."""
    columns = []
    for part in _split(spec):
        title, colon, path = part.partition(":")
        if not colon or not title.strip() or not path.strip():
            raise QueryError(
                f"{part!r} is no TITLE:PATH; write, for example, NAME:.metadata.name,URL:.spec.ports.http"
            )
        columns.append(CustomColumn(title.strip(), relaxed(path)))
    return tuple(columns)


def cells(document: Mapping[str, Any], columns: Sequence[CustomColumn]) -> list[str]:
    """A row of custom columns; several values of one are separated by commas."""
    return [",".join(map(printed, find(column.path, document))) or NONE for column in columns]


def sort_key(document: Mapping[str, Any], path: Path) -> tuple[int, float, str]:
    """For sorting documents by the value at a path: those without it first, then numbers, then texts."""
    found = find(path, document)
    if not found or found[0] is None:
        return (0, 0.0, "")
    if isinstance(found[0], int | float):
        return (1, float(found[0]), "")
    return (2, 0.0, printed(found[0]))


@cache
def _compiled(path: str) -> Path:
    return relaxed(path)


def _split(spec: str) -> list[str]:
    """The parts between commas that are in no bracket and no quote."""
    parts, depth, quote = [""], 0, ""
    for character in spec:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "[({") - (character in "])}")
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts
