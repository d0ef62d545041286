"""`vaultctl delete`: delete services; their volumes are kept unless requested."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.manifests import file_option
from reconciler.cli.names import names_argument
from reconciler.cli.output import say
from reconciler.cli.selection import namespace_options, selection_options
from reconciler.cli.session import Session, pass_session
from reconciler.cli.targets import targets
from reconciler.cli.verb import Verb

if TYPE_CHECKING:
    from reconciler.app.selecting import Selection
    from reconciler.store.base import StoredObject


@click.command(
    "delete",
    cls=Verb,
    short_help="Remove services.",
    examples=[
        ("vaultctl delete whoami", "remove its containers and networks; its volumes stay"),
        ("vaultctl delete files --volumes", "remove its data too, after a question"),
        ("vaultctl delete files --volumes --yes", "the same without a question, for scripts"),
        ("vaultctl delete -f manifests/ --ignore-not-found", "all that these manifests name"),
        ("vaultctl delete -l team=web", "all with this label"),
    ],
)
@names_argument(required=False)
@file_option(required=False)
@selection_options
@namespace_options
@click.option("--all", "everything", is_flag=True, help="All of the kind.")
@click.option("--ignore-not-found", is_flag=True, help="Do not fail for what does not exist.")
@click.option("--volumes", is_flag=True, help="Remove the data volumes too. They cannot be restored.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--timeout", type=DURATION, default="2m", show_default=True, help="How long to wait for the deletion."
)
@pass_session
def command(
    session: Session,
    names: Sequence[str],
    files: Sequence[Path],
    selection: Selection,
    everything: bool,
    ignore_not_found: bool,
    volumes: bool,
    yes: bool,
    timeout: float,
) -> None:
    """Remove the services NAME..., those of manifests, or those with labels: their containers, networks and generated
    files. Volumes are kept without --volumes.

    With a KIND before them, or as KIND/NAME, objects of another kind are removed.
    """
    from reconciler.app.converging import delete
    from reconciler.app.finding import existing

    application = session.application
    objects = application.objects
    refs = targets(objects, names, files, selection, everything=everything)
    if ignore_not_found:
        refs = [ref for ref in refs if ref.name in objects.of(ref.kind).names()]
    found = existing(objects, [str(ref) for ref in refs])
    if not found:
        say("no object matches; nothing was deleted")
        return
    if volumes and not yes:
        _ask(found)
    for stored in _users_first(found):
        delete(application, stored.ref, volumes=volumes, timeout=timeout, now=datetime.now(UTC))
        if stored.origin.kind != "apply":
            say(f"{stored.ref.label} comes from {stored.origin.place}, whose controller will make it again")
        click.echo(f"{stored.ref} deleted{' with its volumes' if volumes else ''}")


def _users_first(found: Sequence[StoredObject[Any]]) -> list[StoredObject[Any]]:
    """Services before gateways: one that still has routes is not deleted."""
    from reconciler.api.kinds import KINDS

    order = list(KINDS)
    return sorted(found, key=lambda stored: order.index(stored.ref.kind.name))


def _ask(found: Sequence[StoredObject[Any]]) -> None:
    names = ", ".join(stored.ref.label for stored in found)
    if not sys.stdin.isatty():
        raise Failure(
            f"--volumes would remove the data of {names}; without a terminal, confirm it with --yes"
        )
    if not click.confirm(f"Remove {names} with all data in their volumes?", err=True):
        raise Failure("nothing was deleted")
