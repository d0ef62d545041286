"""`vaultctl scale`: change the number of replicas in the service's manifest."""

from __future__ import annotations

import click

from reconciler.cli.edits import EditFlags, change, edit_options
from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "scale",
    cls=Verb,
    short_help="Change the number of replicas.",
    examples=[
        ("vaultctl scale files --replicas 5", "in its manifest; where that is in Git, as a commit"),
        ("vaultctl scale files --replicas 5 --dry-run", "only show the line that would change"),
        ("vaultctl scale files --replicas 5 --push", "and push, from a clone or from anywhere"),
        ("vaultctl scale files --replicas 0", "stop it and keep its data, as vaultctl stop does"),
    ],
)
@name_argument()
@click.option(
    "--replicas",
    type=click.IntRange(0, 1000),
    required=True,
    help="The desired number of replicas; 0 stops the service.",
)
@edit_options
@pass_session
def command(session: Session, name: str, replicas: int, flags: EditFlags) -> None:
    """Change the number of web replicas of the service NAME."""
    from reconciler.app.changes import scale

    change(session.application, name, lambda stored: scale(stored.name, replicas), flags)
