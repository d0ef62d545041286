"""`vaultctl logs`: the logs of a service's containers."""

from __future__ import annotations

import re
import sys
from typing import Final

import click

from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import printable
from reconciler.cli.verb import Verb

COLORS: Final = ("cyan", "green", "yellow", "blue", "magenta")
ESCAPES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\].*?(?:\x07|\x1b\\)")
"""Terminal escape sequences: colours, cursor movement, titles and links."""


@click.command(
    "logs",
    cls=Verb,
    short_help="Show the logs of containers.",
    examples=[
        ("vaultctl logs files", "the last lines of every web replica"),
        ("vaultctl logs files -f", "and all new lines, also of new replicas"),
        ("vaultctl logs files haproxy --tail 20", "of another workload of the stack"),
    ],
)
@name_argument()
@click.argument("workload", required=False)
@click.option("-f", "--follow", is_flag=True, help="Keep running, and show new lines.")
@click.option(
    "--tail",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Number of lines of each container.",
)
@pass_session
def command(session: Session, name: str, workload: str | None, follow: bool, tail: int) -> None:
    """Show the last lines of the service NAME: of its web replicas, or of the containers of WORKLOAD.

    WORKLOAD is a service of its Compose project: haproxy, gateway, or one that its plugin names.

    On a terminal, escape sequences are removed, because a container must not be able to move the cursor. A file or a
    pipe gets each line unchanged.
    """
    from reconciler.app.finding import existing_service
    from reconciler.app.logs import follow as following
    from reconciler.app.logs import last
    from reconciler.cli.containers import followed

    application = session.application
    stored = existing_service(application.objects, name, "logs")
    logs, look = followed(session, application, stored, workload)
    for container, line in following(logs, look, tail) if follow else last(logs, look(), tail):
        write_line(container.name, line)


def write_line(name: str, line: str) -> None:
    """A line of a container, after its name."""
    # The same replica keeps its colour from one run to the next, unlike with hash().
    color = COLORS[sum(name.encode()) % len(COLORS)]
    if sys.stdout.isatty():
        click.echo(f"{click.style(f'{name} |', fg=color)} {tame(line)}")
    else:
        # Without "color" the escapes would be removed, but a file must hold the lines unchanged.
        click.echo(f"{name} | {line}", color=True)


def tame(line: str) -> str:
    """A line of a container without escape sequences and unprintable characters, for a terminal."""
    return printable(ESCAPES.sub("", line))
