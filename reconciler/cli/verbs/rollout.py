"""`vaultctl rollout`: the progress of a rollout, its history, and undo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.edits import EditFlags, change, edit_options
from reconciler.cli.names import name_argument
from reconciler.cli.output import output_option, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import age, table
from reconciler.cli.verb import VerbGroup

if TYPE_CHECKING:
    pass


@click.group("rollout", cls=VerbGroup, short_help="Follow, list, undo, pause and restart rollouts.")
def command() -> None:
    """Follow, list, undo, pause and restart rollouts: the replacing of replicas by those of a new revision."""


@command.command(
    "status",
    short_help="Wait for the end of a rollout.",
    examples=[
        ("vaultctl rollout status files", "until it is Ready, or has failed"),
        ("vaultctl rollout status files --timeout 30s || vaultctl events files", "in a script"),
    ],
)
@name_argument()
@click.option("--timeout", type=DURATION, default="5m", show_default=True, help="How long to wait.")
@pass_session
def status(session: Session, name: str, timeout: float) -> None:
    """Show the progress of the rollout of NAME until it ends; exit 1 if it fails."""
    from reconciler.app.converging import conclude
    from reconciler.app.finding import existing
    from reconciler.app.waiting import until_settled
    from reconciler.cli.progress import reporting

    application = session.application
    (stored,) = existing(application.objects, [name])
    wanted = {stored.ref: stored.generation}
    with reporting(now=datetime.now) as report, application.changes() as changes:
        outcomes = until_settled(application.objects, wanted, timeout, report, pause=changes.wait)
    conclude(outcomes)
    click.echo(f"{stored.ref.label} is Ready: {outcomes[stored.ref].message}")


@command.command(
    "history",
    short_help="List revisions.",
    examples=[
        ("vaultctl rollout history files", "each with its cause, its result and its changes"),
        ("vaultctl rollout history files -o json", "with the whole spec of each"),
    ],
)
@name_argument()
@output_option("json", "yaml")
@pass_session
def history(session: Session, name: str, output: str | None) -> None:
    """List the revisions of NAME, oldest first; what `rollout undo --to-revision` takes is the number."""
    from reconciler.app.finding import existing

    (stored,) = existing(session.application.objects, [name])
    found = session.views.revisions(stored.ref)
    write(output, found, lambda: _table(found))


@command.command(
    "undo",
    short_help="Go back to an earlier revision.",
    examples=[
        ("vaultctl rollout undo files", "to the last complete revision before the present one"),
        ("vaultctl rollout undo files --to-revision 3 --dry-run", "only show what would change"),
    ],
)
@name_argument()
@click.option("--to-revision", type=click.IntRange(min=1), help="A number of `rollout history`.")
@edit_options
@pass_session
def undo(session: Session, name: str, to_revision: int | None, flags: EditFlags) -> None:
    """Write the values of an earlier revision of NAME into its manifest, and roll it out.

    Plugin, settings, health check, container port and the last restart go back; numbers and rules stay as they are.
    """
    change(session.application, name, lambda stored: session.views.undo(stored, to_revision), flags)


@command.command(
    "pause",
    short_help="Let rollouts wait.",
    examples=[("vaultctl rollout pause files", "old replicas stay; dead ones are still replaced")],
)
@name_argument()
@edit_options
@pass_session
def pause(session: Session, name: str, flags: EditFlags) -> None:
    """Pause rollouts of the service NAME."""
    from reconciler.app import changes

    change(session.application, name, lambda stored: changes.pause(stored.name), flags)


@command.command(
    "resume",
    short_help="Resume rollouts.",
    examples=[("vaultctl rollout resume files", "after a pause")],
)
@name_argument()
@edit_options
@pass_session
def resume(session: Session, name: str, flags: EditFlags) -> None:
    """Resume rollouts of the service NAME."""
    from reconciler.app import changes

    change(session.application, name, lambda stored: changes.resume_rollouts(stored.name), flags)


@command.command(
    "restart",
    short_help="Replace every replica once.",
    examples=[("vaultctl rollout restart files", "as a rollout: by the strategy, with its deadline")],
)
@name_argument()
@edit_options
@pass_session
def restart(session: Session, name: str, flags: EditFlags) -> None:
    """Replace every web replica of NAME by a fresh one, as a rollout to a new revision."""
    from reconciler.app import changes

    now = datetime.now(UTC)
    change(session.application, name, lambda stored: changes.restart(stored.name, now), flags)


def _table(documents: Sequence[Mapping[str, Any]]) -> str:
    now = datetime.now(UTC)
    rows = []
    for each in documents:
        created = datetime.fromisoformat(each["createdAt"])
        finished = datetime.fromisoformat(each["finishedAt"]) if each["finishedAt"] else None
        rows.append(
            [
                str(each["number"]),
                each["revision"],
                age(created, now),
                each["result"] or "under way",
                f"{(finished - created).total_seconds():.1f}s" if finished else "",
                each["commit"].rpartition(":")[2][:12],
                "; ".join(each["changed"]),
            ]
        )
    return table(["NUMBER", "REVISION", "AGE", "RESULT", "TOOK", "COMMIT", "CHANGED"], rows)
