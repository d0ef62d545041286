"""`vaultctl start`: start a service that `stop` stopped."""

from __future__ import annotations

import click

from reconciler.cli.edits import EditFlags, change, edit_options
from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "start",
    cls=Verb,
    short_help="Start a stopped service.",
    examples=[
        ("vaultctl start files", "with as many replicas as before vaultctl stop"),
        ("vaultctl start files --push", "for a service that comes from Git"),
    ],
)
@name_argument()
@edit_options
@pass_session
def command(session: Session, name: str, flags: EditFlags) -> None:
    """Start the service NAME again, with the number of replicas that it had before `stop`.

    A running service stays as it is.
    """
    from reconciler.app.changes import start

    change(session.application, name, start, flags)
