"""Shared code of all verbs that change a manifest: their options, and the report of the result."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.durations import DURATION
from reconciler.cli.output import say

if TYPE_CHECKING:
    from reconciler.app.changes import Change
    from reconciler.app.editing import Edited, How
    from reconciler.store.base import StoredObject
    from reconciler.wiring import Application

__all__ = ["EditFlags", "change", "conclude_edit", "edit_options", "how_of"]


@dataclass(frozen=True)
class EditFlags:
    """How to make a change; `timeout` is in seconds."""

    message: str | None = None
    push: bool = False
    dry_run: bool = False
    timeout: float = 300.0


def edit_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every change of a manifest has; the verb gets `flags`."""

    @functools.wraps(verb)
    def collected(
        *args: Any, message: str | None, push: bool, dry_run: bool, timeout: float, **kwargs: Any
    ) -> Any:
        return verb(*args, flags=EditFlags(message, push, dry_run, timeout), **kwargs)

    options = (
        click.option("-m", "--message", help="The commit's message, instead of the default."),
        click.option(
            "--push", is_flag=True, help="Push the commit; outside of a clone, commit in a new one."
        ),
        click.option("--dry-run", is_flag=True, help="Print the difference and change nothing."),
        click.option(
            "--timeout",
            type=DURATION,
            default="5m",
            show_default=True,
            help="How long to converge where no controller runs.",
        ),
    )
    decorated: Callable[..., Any] = collected
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def change(
    application: Application, name: str, make: Callable[[StoredObject[Any]], Change], flags: EditFlags
) -> bool:
    """Change the resource NAME in its manifest, and converge it if no controller does; returns whether it was changed.

    Raises VaultError with the reason; then nothing has changed.
    """
    from reconciler.app.editing import edit
    from reconciler.app.finding import existing

    (stored,) = existing(application.objects, [name])
    edited = edit(application.objects, stored, make(stored), how_of(flags), datetime.now(UTC))
    if not edited.difference:
        click.echo(f"{stored.ref.label} has these values already; nothing to change")
        return False
    return conclude_edit(application, edited, flags)


def how_of(flags: EditFlags) -> How:
    """The same for `app`."""
    from reconciler.app.editing import How

    return How(Path.cwd(), os.environ, flags.message, flags.push, flags.dry_run)


def conclude_edit(application: Application, edited: Edited, flags: EditFlags) -> bool:
    """Tell what was changed, and converge it if no controller does; returns whether it was more than a dry run."""
    if flags.dry_run:
        click.echo(edited.difference, nl=False)
    else:
        _tell(edited)
        _follow_up(application, edited.stored, flags.timeout)
        return True
    return False


def _tell(edited: Edited) -> None:
    if edited.commit:
        click.echo(f"[{edited.branch} {edited.commit}] {edited.subject}")
    elif edited.path:
        click.echo(f"{edited.path} changed")
    if edited.pushed:
        click.echo("pushed")


def _follow_up(application: Application, stored: StoredObject[Any], timeout: float) -> None:
    """Converge the object if no controller does."""
    from reconciler.app.converging import conclude

    if application.controller_is_running():
        return
    if stored.origin.kind != "apply":
        say(
            f"no controller is running on this state directory; one that follows {stored.origin.place} will act"
        )
        return
    say("no controller is running on this state directory: converging here")
    outcomes = application.converge([stored.ref], timeout)
    conclude(outcomes)
    click.echo(f"{stored.ref.label} is Ready: {outcomes[stored.ref].message}")
