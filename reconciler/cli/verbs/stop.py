"""`vaultctl stop`: stop a service until `start`; its data stays."""

from __future__ import annotations

import click

from reconciler.cli.edits import EditFlags, change, edit_options
from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "stop",
    cls=Verb,
    short_help="Stop a service and keep its data.",
    examples=[
        ("vaultctl stop files", "until vaultctl start files"),
        ("vaultctl stop files --push", "for a service that comes from Git"),
    ],
)
@name_argument()
@edit_options
@pass_session
def command(session: Session, name: str, flags: EditFlags) -> None:
    """Stop the service NAME: spec.replicas becomes 0. Web replicas end their requests, then its dependencies stop.

    Volumes stay. Requests are answered 503 until `start`; the number of replicas is noted in the manifest.
    """
    from reconciler.app.changes import stop

    change(session.application, name, stop, flags)
