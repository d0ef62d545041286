"""Generates docs/compose.md from the table of fields; a test fails when it is stale."""

from __future__ import annotations

from typing import Final

from reconciler.core.compose.fields import SECTIONS, Field, Treatment

HEADER: Final = """\
<!-- Generated from reconciler/core/compose/fields.py; tests/core/compose/test_fields.py says how. Do not edit. -->

# What becomes of each Compose field

A plugin returns a Compose fragment. No field of it is accepted without effect: this page lists what becomes of each key
of the Compose specification, in every form that Compose has for it. A key that is not listed is treated like the key
that it is in; one that no row covers is refused. Keys that begin with `x-` are notes, everywhere.

| | |
|---|---|
| honoured | is handed to Compose, or done by the controller |
| moved to HAProxy | HAProxy publishes it in place of the containers |
| warned about | has no effect, and `validate`, `apply` and the events say so |
| refused | cannot work; the message says where and why |
| by profile | admission decides: [admission.md](admission.md) |
"""
TITLES: Final = {"": "Top level", "services": "Services"}


def page() -> str:
    """The whole page."""
    return "\n".join([HEADER, *(_section(name, rows) for name, rows in SECTIONS.items())])


def _section(name: str, rows: tuple[Field, ...]) -> str:
    lines = [_row(row) for row in sorted(rows, key=lambda row: row.path)]
    title = TITLES.get(name, name.capitalize())
    return "\n".join([f"## {title}\n", "| key | what becomes of it | |", "|---|---|---|", *lines]) + "\n"


def _row(row: Field) -> str:
    note = row.note
    if row.treatment in (Treatment.WARNED, Treatment.REFUSED) and note:
        note = f"it {note}"
    return f"| `{row.path}` | {row.treatment} | {note} |"
