"""The table of objects of one kind, as `vaultctl get` prints it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler.api.kinds import NAMESPACE, VAULT_SERVICE
from reconciler.cli.tables import age, printable, shortened, table

if TYPE_CHECKING:
    from reconciler.api.kinds import Kind
    from reconciler.app.listing import Listed
    from reconciler.store.base import StoredObject

__all__ = ["Extra", "object_table"]

HEADERS: Final = ("NAME", "PLUGIN", "READY", "REVISION", "AGE", "URL", "MESSAGE")
WIDE_HEADERS: Final = (*HEADERS[:-1], "STATUS", "UPDATED", "NODES", "GENERATION", "ORIGIN", "MESSAGE")
MIN_MESSAGE: Final = 20

COMMIT: Final = 32
"""Characters of `main@sha1:0123456789ab…` that tell commits apart."""


@dataclass(frozen=True)
class Extra:
    """Columns that were asked for: many of the kind, the namespace, labels by their keys, and all labels."""

    wide: bool = False
    namespace: bool = False
    label_columns: tuple[str, ...] = ()
    labels: bool = False

    @property
    def is_about_labels(self) -> bool:
        """Whether any column shows labels."""
        return self.labels or bool(self.label_columns)


def object_table(kind: Kind, lines: Sequence[Listed], extra: Extra) -> str:
    """The table with its headers."""
    if kind == VAULT_SERVICE:
        headers = [*(WIDE_HEADERS if extra.wide else HEADERS)]
        rows = [_row(line, wide=extra.wide) for line in lines]
    else:
        columns = [column.title.upper() for column in kind.columns]
        headers = ["NAME", *columns, *(["STATUS", "GENERATION", "ORIGIN"] if extra.wide else []), "MESSAGE"]
        rows = [_row_of(kind, line, wide=extra.wide) for line in lines]
    if extra.is_about_labels:
        headers += [
            *(key.rpartition("/")[2].upper() for key in extra.label_columns),
            *(["LABELS"] * extra.labels),
        ]
        for row, line in zip(rows, lines, strict=True):
            row += _labels(line.stored.resource.metadata.labels, extra)
    if extra.namespace:
        headers, rows = ["NAMESPACE", *headers], [[NAMESPACE, *row] for row in rows]
    return table(headers, rows)


def _labels(labels: Mapping[str, str], extra: Extra) -> list[str]:
    cells = [labels.get(key, "") for key in extra.label_columns]
    shown = ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"
    return [*cells, *([shown] if extra.labels else [])]


def _row_of(kind: Kind, line: Listed, *, wide: bool) -> list[str]:
    """A line of any kind: its columns, as kubectl shows them."""
    from reconciler.app.columns import cell
    from reconciler.app.documents import resource_document

    stored, summary = line.stored, line.summary
    document = resource_document(stored, line.status)
    born = age(line.born, datetime.now(UTC))
    row = [stored.name]
    row += [born if each.type == "date" else printable(cell(document, each.path)) for each in kind.columns]
    if wide:
        row += [summary.reason, f"{line.status.observed_generation}/{stored.generation}", _origin(stored)]
    return [*row, shortened(summary.message, sys.maxsize if wide else _room(row))]


def _row(line: Listed, *, wide: bool) -> list[str]:
    from reconciler.app.documents import claimed, url
    from reconciler.cli.summary import COLORS

    stored, status, summary = line.stored, line.status, line.summary
    service, counts = stored.resource, status.replicas
    row = [
        stored.name,
        service.spec.plugin,
        click.style(f"{counts.serving}/{counts.desired}", fg=COLORS[summary.verdict]),
        status.revision or "",
        age(line.born, datetime.now(UTC)),
        (wide and ", ".join(claimed(service))) or url(service),
    ]
    if wide:
        generations = f"{status.observed_generation}/{service.metadata.generation}"
        nodes = ",".join(f"{each.name}:{each.replicas}" for each in status.nodes)
        row += [summary.reason, f"{counts.updated}/{counts.desired}", nodes, generations, _origin(stored)]
    return [*row, shortened(summary.message, sys.maxsize if wide else _room(row))]


def _origin(stored: StoredObject[Any]) -> str:
    if stored.origin.commit:
        # Its path is in the controller's clone; the user needs the path in the repository.
        return f"{stored.origin.kind} {Path(stored.origin.manifest).name} at {stored.origin.commit[:COMMIT]}"
    return f"{stored.origin.kind} {stored.origin.manifest}:{stored.origin.line}"


def _room(row: Sequence[str]) -> int:
    """How many characters of a message fit on the terminal's line; all of them when there is no terminal."""
    if not sys.stdout.isatty():
        return sys.maxsize
    used = sum(len(click.unstyle(cell)) + 3 for cell in row)
    return max(MIN_MESSAGE, shutil.get_terminal_size().columns - used)
