"""`vaultctl edit`: edit the manifest of an object in an editor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from reconciler.cli.edits import EditFlags, conclude_edit, edit_options, how_of
from reconciler.cli.errors import Failure
from reconciler.cli.names import names_argument, one
from reconciler.cli.selection import namespace_options
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb


@click.command(
    "edit",
    cls=Verb,
    short_help="Edit a manifest in an editor.",
    examples=[
        ("vaultctl edit files", "in $VISUAL, $EDITOR or a usual editor"),
        ("EDITOR='code --wait' vaultctl edit vg/main", "a gateway, in another one"),
        ("vaultctl edit files --dry-run", "only show the difference"),
        ("vaultctl edit files --push -m 'files: new limits'", "for a service that comes from Git"),
    ],
)
@names_argument(required=True, metavar="[KIND] NAME")
@namespace_options
@edit_options
@pass_session
def command(session: Session, names: Sequence[str], flags: EditFlags) -> None:
    """Edit the manifest of the service NAME, or of an object of another KIND; comments are kept.

    Where it is in Git, the change is a commit. A text that is not valid is shown again with its mistakes above it. An empty
    text, or one that is as it was, changes nothing.
    """
    from reconciler.api.errors import VaultError
    from reconciler.app.editing import edit_freely
    from reconciler.app.finding import existing
    from reconciler.cli.editor import editor_of

    application = session.application
    stored = one(existing(application.objects, names))
    editor = editor_of(os.environ, f"{stored.name}.yaml")
    try:
        edited = edit_freely(application.objects, stored, editor, how_of(flags), datetime.now(UTC))
    except VaultError as error:
        if not editor.path.exists():
            editor.forget()
            raise
        # It was written by a person, and may be needed again.
        raise Failure(f"{error}\nthe edited text is in {editor.path}") from error
    except BaseException:
        editor.forget()
        raise
    editor.forget()
    if not edited.difference:
        click.echo("nothing was edited, so nothing was changed")
    elif conclude_edit(application, edited, flags):
        click.echo(f"{stored.ref} edited")
