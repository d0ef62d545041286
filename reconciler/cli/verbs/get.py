"""`vaultctl get`: the services there are and how they are doing."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler.app.finding import existing
from reconciler.cli.names import names_argument
from reconciler.cli.output import listed, output_option, qualified, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import age, shortened, table
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.api import Status
    from reconciler.store.base import StoredObject
    from reconciler.wiring import Application

HEADERS: Final = ("NAME", "PLUGIN", "READY", "REVISION", "AGE", "URL", "MESSAGE")
WIDE_HEADERS: Final = (*HEADERS[:-1], "STATUS", "UPDATED", "GENERATION", "ORIGIN", "MESSAGE")
WATCH_SECONDS: Final = 0.5
MIN_MESSAGE: Final = 20
DOCUMENTS: Final = ("json", "yaml")
"""The formats that show whole documents; the others are a glance."""

COMMIT: Final = 32
"""Characters of `main@sha1:0123456789ab…` that tell commits apart."""

Seen = tuple["StoredObject", "Status"]


@click.command(
    "get",
    cls=Verb,
    short_help="List services and how they are doing.",
    examples=[
        ("vaultctl get", "all services"),
        ("vaultctl get files -o json", "one with its spec, conditions and observedGeneration"),
        ("vaultctl get -o name", "only names, for loops in scripts"),
        ("vaultctl get --watch", "again whenever something changes"),
    ],
)
@names_argument(required=False)
@output_option("wide", "json", "yaml", "name")
@click.option("-w", "--watch", is_flag=True, help="Stay, and show what changes.")
@pass_session
def command(session: Session, names: Sequence[str], output: str | None, watch: bool) -> None:
    """List the services NAME..., or all, as the controller last saw them. `describe` looks at the engine itself."""
    application = session.application
    shown = _show(application, names, output, known={})
    while watch:
        time.sleep(WATCH_SECONDS)
        shown = _show(application, names, output, known=shown)


def _show(
    application: Application, names: Sequence[str], output: str | None, known: dict[str, object]
) -> dict[str, object]:
    """Write what is not as in `known`, and return all as it is now."""
    objects = application.objects if output in DOCUMENTS else application.glances
    wanted = names or objects.names()
    # With --watch a service may go while we look.
    stored = existing(objects, [name for name in wanted if name not in known or objects.get(name)])
    now = {each.name: (each, objects.status(each.name)) for each in stored}
    news = [seen for name, seen in now.items() if seen != known.get(name)]
    if known and not news:
        return dict(now)
    if not stored and output in (None, "wide"):
        click.echo(f"there are no services in {application.options.state_dir}", err=True)
        return dict(now)
    data = _data(news, one=len(names) == 1) if output in DOCUMENTS else {}
    write(output, data, _text(application, news, output, with_headers=not known))
    return dict(now)


def _data(seen: Sequence[Seen], *, one: bool) -> Mapping[str, object]:
    from reconciler.app.documents import service_document

    documents = [service_document(stored, status) for stored, status in seen]
    return documents[0] if one and documents else listed(documents)


def _text(
    application: Application, seen: Sequence[Seen], output: str | None, *, with_headers: bool
) -> Callable[[], str]:
    def text() -> str:
        if output == "name":
            return "\n".join(qualified(stored.name) for stored, _ in seen)
        rows = [_row(application, stored, status, wide=output == "wide") for stored, status in seen]
        whole = table(WIDE_HEADERS if output == "wide" else HEADERS, rows)
        return whole if with_headers else whole.partition("\n")[2]

    return text


def _row(application: Application, stored: StoredObject, status: Status, *, wide: bool) -> list[str]:
    from reconciler.app.documents import url
    from reconciler.cli.summary import COLORS, summarize

    service = stored.service
    summary = summarize(stored, status)
    revisions = application.history.revisions(stored.name)
    counts = status.replicas
    row = [
        stored.name,
        service.spec.plugin,
        click.style(f"{counts.serving}/{counts.desired}", fg=COLORS[summary.verdict]),
        status.revision or "",
        age(revisions[0].created_at if revisions else None, datetime.now(UTC)),
        url(service),
    ]
    if wide:
        generations = f"{status.observed_generation}/{service.metadata.generation}"
        origin = f"{stored.origin.kind} {stored.origin.manifest}:{stored.origin.line}"
        if stored.origin.commit:
            # Its path is one of our own; whoever looks for it looks in the repository.
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
