"""`vaultctl annotate`: change annotations of objects in their manifests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from reconciler.cli.marks import mark, mark_options, show
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.app.selecting import Selection
    from reconciler.cli.edits import EditFlags


@click.command(
    "annotate",
    cls=Verb,
    short_help="Change annotations.",
    examples=[
        ("vaultctl annotate files example.org/owner='team web'", "set one"),
        (
            "vaultctl annotate files vault.internal/admission=restricted --overwrite",
            "another admission profile",
        ),
        ("vaultctl annotate files example.org/owner-", "remove one"),
        ("vaultctl annotate files --list", "those that there are"),
    ],
)
@mark_options("annotations")
@pass_session
def command(
    session: Session,
    words: Sequence[str],
    selection: Selection,
    everything: bool,
    overwrite: bool,
    listed: bool,
    flags: EditFlags,
) -> None:
    """Set annotations of the services NAME... with KEY=VALUE, and remove them with KEY-, in their manifests.

    With a KIND before them, or as KIND/NAME, they are those of another kind. Where a manifest is in Git, the change of each
    object is a commit.

    The controller reads some of them; see `vaultctl explain metadata.annotations`.
    """
    from reconciler.app.changes import annotate

    application = session.application
    if listed:
        show(
            application,
            words,
            selection,
            lambda stored: stored.resource.metadata.annotations,
            everything=everything,
        )
        return
    mark(
        application,
        words,
        selection,
        annotate,
        flags,
        everything=everything,
        overwrite=overwrite,
        done="annotated",
    )
