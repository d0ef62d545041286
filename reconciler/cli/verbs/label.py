"""`vaultctl label`: change labels of objects in their manifests."""

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
    "label",
    cls=Verb,
    short_help="Change labels.",
    examples=[
        ("vaultctl label files team=web tier-", "set one, and remove another"),
        ("vaultctl label vg main team=edge --overwrite", "replace the value of a gateway's"),
        ("vaultctl label --all team=web --dry-run", "of all services; only show the lines that would change"),
        ("vaultctl label files --list", "those that there are"),
    ],
)
@mark_options("labels")
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
    """Set labels of the services NAME... with KEY=VALUE, and remove them with KEY-, in their manifests.

    With a KIND before them, or as KIND/NAME, they are those of another kind. Where a manifest is in Git, the change of each
    object is a commit.

    Labels do not belong to the revision: nothing is replaced because of them.
    """
    from reconciler.app.changes import label

    application = session.application
    if listed:
        show(
            application,
            words,
            selection,
            lambda stored: stored.resource.metadata.labels,
            everything=everything,
        )
        return
    mark(
        application,
        words,
        selection,
        label,
        flags,
        everything=everything,
        overwrite=overwrite,
        done="labeled",
    )
