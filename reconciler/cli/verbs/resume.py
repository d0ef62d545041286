"""`vaultctl resume`: reconcile a suspended service again."""

from __future__ import annotations

import click

from reconciler.cli.edits import EditFlags, change, edit_options
from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "resume",
    cls=Verb,
    short_help="Reconcile a suspended service again.",
    examples=[
        ("vaultctl resume files", "changes since then are reconciled with its manifest"),
        ("vaultctl resume files --dry-run", "only show the line that would change"),
    ],
)
@name_argument()
@edit_options
@pass_session
def command(session: Session, name: str, flags: EditFlags) -> None:
    """Reconcile the suspended service NAME again."""
    from reconciler.app.changes import resume

    change(session.application, name, lambda stored: resume(stored.name), flags)
