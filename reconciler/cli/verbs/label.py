"""`vaultctl label`: change labels of objects in their manifests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from reconciler.cli.edits import EditFlags, edit_options
from reconciler.cli.marks import mark, show
from reconciler.cli.selection import namespace_options, selection_options
from reconciler.cli.session import Session, pass_session
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.app.selecting import Selection


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
@click.argument("words", metavar="[KIND] NAME... KEY=VALUE... KEY-...", nargs=-1)
@selection_options
@namespace_options
@click.option("--all", "everything", is_flag=True, help="All of the kind.")
@click.option("--overwrite", is_flag=True, help="Replace labels that have another value.")
@click.option("--list", "listed", is_flag=True, help="Only show the labels that there are.")
@edit_options
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
