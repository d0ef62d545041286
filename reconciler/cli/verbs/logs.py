"""`vaultctl logs`: what the containers of a service write."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import printable
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.core.assess.observation import Container

COLORS: Final = ("cyan", "green", "yellow", "blue", "magenta")
ESCAPES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\].*?(?:\x07|\x1b\\)")
"""Whole sequences that speak to a terminal: colours, moves of the cursor, titles and links."""


@click.command(
    "logs",
    cls=Verb,
    short_help="Show what containers write.",
    examples=[
        ("vaultctl logs files", "the last lines of every web replica"),
        ("vaultctl logs files -f", "and all new ones, of new replicas too"),
        ("vaultctl logs files haproxy --tail 20", "of another workload of the stack"),
    ],
)
@name_argument()
@click.argument("workload", required=False)
@click.option("-f", "--follow", is_flag=True, help="Stay, and show new lines.")
@click.option(
    "--tail", type=click.IntRange(0), default=100, show_default=True, help="How many lines of each."
)
@pass_session
def command(session: Session, name: str, workload: str | None, follow: bool, tail: int) -> None:
    """Show the last lines of the service NAME: of its web replicas, or of the containers of WORKLOAD.

    WORKLOAD is a service of its Compose project: haproxy, gateway, or one that its plugin names.

    A terminal gets plain text, whatever the lines hold, because a container must not be able to move its cursor. A
    file or a pipe gets each line as it was written.
    """
    from reconciler.app.finding import existing
    from reconciler.app.logs import containers_of, last, workloads_of
    from reconciler.app.logs import follow as following

    application = session.application
    (stored,) = existing(application.objects, [name])
    stack = application.build(stored.service, stored.origin.manifest.parent)
    wanted, engine = workloads_of(stack, workload), application.engine

    def look() -> list[Container]:
        return containers_of(stack, wanted, engine)

    for container, line in following(engine, look, tail) if follow else last(engine, look(), tail):
        _write(container.name, line)


def _write(name: str, line: str) -> None:
    # The same replica keeps its colour from one run to the next, unlike with hash().
    color = COLORS[sum(name.encode()) % len(COLORS)]
    if sys.stdout.isatty():
        click.echo(f"{click.style(f'{name} |', fg=color)} {tame(line)}")
    else:
        # Without "color" the escapes of the line would be taken out, and what is written to a file is evidence.
        click.echo(f"{name} | {line}", color=True)


def tame(line: str) -> str:
    """A line of a container as a terminal may have it: without sequences that speak to it, and printable."""
    return printable(ESCAPES.sub("", line))
