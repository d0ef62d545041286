"""`vaultctl suspend`: stop reconciling a service until `resume`; its containers keep running."""

from __future__ import annotations

import click

from reconciler.cli.edits import EditFlags, change, edit_options
from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "suspend",
    cls=Verb,
    short_help="Stop reconciling a service.",
    examples=[
        ("vaultctl suspend files", "before manual changes to its containers"),
        ("vaultctl suspend files --push -m 'suspend files: disk swap'", "for a service that comes from Git"),
    ],
)
@name_argument()
@edit_options
@pass_session
def command(session: Session, name: str, flags: EditFlags) -> None:
    """Stop reconciling the service NAME: nothing is healed, changed or rotated, and its containers keep running."""
    from reconciler.app.changes import suspend

    change(session.application, name, lambda stored: suspend(stored.name), flags)
