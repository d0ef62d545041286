"""`vaultctl rotate`: fresh replicas now, of the same revision."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from reconciler.cli.edits import EditFlags, change, edit_options
from reconciler.cli.names import name_argument
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "rotate",
    cls=Verb,
    short_help="Replace replicas by fresh ones.",
    examples=[
        ("vaultctl rotate files", "all current ones, within the strategy's budget"),
        ("vaultctl rotate files --push", "for a service that comes from Git"),
    ],
)
@name_argument()
@edit_options
@pass_session
def command(session: Session, name: str, flags: EditFlags) -> None:
    """Replace every web replica of NAME that exists now by a fresh one of the same revision."""
    from reconciler.app.changes import rotate

    now = datetime.now(UTC)
    change(session.application, name, lambda stored: rotate(stored.name, now), flags)
