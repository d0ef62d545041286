"""`vaultctl get`: list services and their status."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.names import names_argument
from reconciler.cli.output import listed, output_option, qualified, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import age, shortened, table
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.app.listing import Listed, Seen
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
    ],
)
@names_argument(required=False)
@output_option("wide", "json", "yaml", "name")
@click.option("-w", "--watch", is_flag=True, help="Keep running, and show changes.")
@pass_session
def command(session: Session, names: Sequence[str], output: str | None, watch: bool) -> None:
    """List the services NAME..., or all, as the controller last observed them. `describe` queries the engine itself."""
    application = session.application
    shown: Mapping[str, Seen] = _show(application, names, output, known={})
    while watch:
        time.sleep(WATCH_SECONDS)
        shown = _show(application, names, output, known=shown)


def _show(
    application: Application, names: Sequence[str], output: str | None, known: Mapping[str, Seen]
) -> Mapping[str, Seen]:
    """Write the lines that differ from `known`, and return the current ones."""
    from reconciler.app.listing import look_up

    objects = application.objects if output in DOCUMENTS else application.object_views
    # With --watch a service may be deleted between two polls.
    now = look_up(objects, names, tuple(known))
    news = [seen for name, seen in now.items() if seen != known.get(name)]
    if known and not news:
        return now
    if not now and output in (None, "wide"):
        click.echo(f"there are no services in {application.options.state_dir}", err=True)
        return now
    data = _data(news, one=len(names) == 1) if output in DOCUMENTS else {}
    write(output, data, lambda: _text(application, news, output, with_headers=not known))
    return now


def _data(seen: Sequence[Seen], *, one: bool) -> Mapping[str, object]:
    from reconciler.app.documents import service_document

    documents = [service_document(each.stored, each.status) for each in seen]
    return documents[0] if one and documents else listed(documents)


def _text(application: Application, seen: Sequence[Seen], output: str | None, *, with_headers: bool) -> str:
    from reconciler.app.listing import list_services

    if output == "name":
        return "\n".join(qualified(each.stored.name) for each in seen)
    rows = [_row(each, wide=output == "wide") for each in list_services(seen, application.history)]
    whole = table(WIDE_HEADERS if output == "wide" else HEADERS, rows)
    return whole if with_headers else whole.partition("\n")[2]


def _row(line: Listed, *, wide: bool) -> list[str]:
    from reconciler.app.documents import url
    from reconciler.cli.summary import COLORS

    stored, status, summary = line.stored, line.status, line.summary
    service, counts = stored.service, status.replicas
    row = [
        stored.name,
        service.spec.plugin,
        click.style(f"{counts.serving}/{counts.desired}", fg=COLORS[summary.verdict]),
        status.revision or "",
        age(line.born, datetime.now(UTC)),
        url(service),
    ]
    if wide:
        generations = f"{status.observed_generation}/{service.metadata.generation}"
        origin = f"{stored.origin.kind} {stored.origin.manifest}:{stored.origin.line}"
        if stored.origin.commit:
            # Its path is in the controller's clone; the user needs the path in the repository.
            origin = (
                f"{stored.origin.kind} {Path(stored.origin.manifest).name} at {stored.origin.commit[:COMMIT]}"
            )
        row += [summary.reason, f"{counts.updated}/{counts.desired}", generations, origin]
    return [*row, shortened(summary.message, sys.maxsize if wide else _room(row))]


def _room(row: Sequence[str]) -> int:
    """How many characters of a message fit on the terminal's line; all of them when there is no terminal."""
    if not sys.stdout.isatty():
        return sys.maxsize
    used = sum(len(click.unstyle(cell)) + 3 for cell in row)
    return max(MIN_MESSAGE, shutil.get_terminal_size().columns - used)
