"""`vaultctl get`: list services and their status."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler.api.kinds import VAULT_SERVICE
from reconciler.cli.names import names_argument
from reconciler.cli.output import listed, output_option, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import age, printable, shortened, table
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.api.kinds import Kind, Ref
    from reconciler.app.listing import Listed, Seen
    from reconciler.store.base import StoredObject
    from reconciler.wiring import Application

HEADERS: Final = ("NAME", "PLUGIN", "READY", "REVISION", "AGE", "URL", "MESSAGE")
WIDE_HEADERS: Final = (*HEADERS[:-1], "STATUS", "UPDATED", "GENERATION", "ORIGIN", "MESSAGE")
WATCH_SECONDS: Final = 0.5
MIN_MESSAGE: Final = 20
DOCUMENTS: Final = ("json", "yaml")
"""The formats that show whole documents; the others show a summary."""

COMMIT: Final = 32
"""Characters of `main@sha1:0123456789ab…` that tell commits apart."""


@click.command(
    "get",
    cls=Verb,
    short_help="List services and their status.",
    examples=[
        ("vaultctl get", "all services"),
        ("vaultctl get files -o json", "one with its spec, conditions and observedGeneration"),
        ("vaultctl get -o name", "only names, for loops in scripts"),
        ("vaultctl get --watch", "again whenever something changes"),
        ("vaultctl get gateways", "all gateways; `vaultctl routes` lists what they serve"),
    ],
)
@names_argument(required=False, metavar="[[KIND] NAME...]")
@output_option("wide", "json", "yaml", "name")
@click.option("-w", "--watch", is_flag=True, help="Keep running, and show changes.")
@pass_session
def command(session: Session, names: Sequence[str], output: str | None, watch: bool) -> None:
    """List the services NAME..., or all, as the controller last observed them. `describe` queries the engine itself.

    With a KIND before them, or as KIND/NAME, objects of another kind are listed.
    """
    application = session.application
    shown: Mapping[Ref, Seen] = _show(application, names, output, known={})
    while watch:
        time.sleep(WATCH_SECONDS)
        shown = _show(application, names, output, known=shown)


def _show(
    application: Application, names: Sequence[str], output: str | None, known: Mapping[Ref, Seen]
) -> Mapping[Ref, Seen]:
    """Write the lines that differ from `known`, and return the current ones."""
    from reconciler.app.finding import kind_and_names
    from reconciler.app.listing import look_up

    kind, which = kind_and_names(application.object_views, names)
    # Views are only read for the columns of VaultServices.
    is_table = output not in DOCUMENTS and kind == VAULT_SERVICE and not any("/" in name for name in which)
    # With --watch an object may be deleted between two polls.
    now = look_up(application.object_views if is_table else application.objects, names, tuple(known))
    news = [seen for ref, seen in now.items() if seen != known.get(ref)]
    if known and not news:
        return now
    if not now and output in (None, "wide"):
        what = "services" if kind == VAULT_SERVICE else kind.plural
        click.echo(f"there are no {what} in {application.options.state_dir}", err=True)
        return now
    data = _data(news, one=len(which) == 1) if output in DOCUMENTS else {}
    write(output, data, lambda: _text(application, news, output, with_headers=not known))
    return now


def _data(seen: Sequence[Seen], *, one: bool) -> Mapping[str, object]:
    from reconciler.app.documents import resource_document

    documents = [resource_document(each.stored, each.status) for each in seen]
    return documents[0] if one and documents else listed(documents)


def _text(application: Application, seen: Sequence[Seen], output: str | None, *, with_headers: bool) -> str:
    from reconciler.app.listing import list_objects

    if output == "name":
        return "\n".join(str(each.stored.ref) for each in seen)
    tables = []
    for kind in dict.fromkeys(each.stored.ref.kind for each in seen):
        lines = list_objects([each for each in seen if each.stored.ref.kind == kind], application.history)
        whole = _table(kind, lines, wide=output == "wide")
        tables.append(whole if with_headers else whole.partition("\n")[2])
    return ("\n\n" if with_headers else "\n").join(tables)


def _table(kind: Kind, lines: Sequence[Listed], *, wide: bool) -> str:
    if kind == VAULT_SERVICE:
        return table(WIDE_HEADERS if wide else HEADERS, [_row(line, wide=wide) for line in lines])
    columns = [column.title.upper() for column in kind.columns]
    headers = ["NAME", *columns, *(["STATUS", "GENERATION", "ORIGIN"] if wide else []), "MESSAGE"]
    return table(headers, [_row_of(kind, line, wide=wide) for line in lines])


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
        row += [summary.reason, f"{counts.updated}/{counts.desired}", generations, _origin(stored)]
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
