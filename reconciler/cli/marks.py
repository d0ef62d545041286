"""Shared code of `label` and `annotate`: KEY=VALUE sets one, KEY- removes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from reconciler.cli.edits import EditFlags, change, edit_options
from reconciler.cli.selection import namespace_options, selection_options
from reconciler.cli.tables import printable

if TYPE_CHECKING:
    from reconciler.app.changes import Change
    from reconciler.app.selecting import Selection
    from reconciler.store.base import StoredObject
    from reconciler.wiring import Application

__all__ = ["Asked", "mark", "mark_options", "show", "split"]

Command = TypeVar("Command", bound=Callable[..., Any])


class Make(Protocol):
    """Makes the change of one object."""

    def __call__(
        self, stored: StoredObject[Any], marks: Mapping[str, str | None], *, overwrite: bool
    ) -> Change:
        """Raises VaultError for what is there already."""


class Asked(Protocol):
    """The marks that an object has."""

    def __call__(self, stored: StoredObject[Any]) -> Mapping[str, str]:
        """By their keys."""


def mark_options(marks: str) -> Callable[[Command], Command]:
    """The arguments and options of a verb that changes `marks`, the word for them in its help."""
    options: tuple[Callable[[Any], Any], ...] = (
        click.argument("words", metavar="[KIND] NAME... KEY=VALUE... KEY-...", nargs=-1),
        selection_options,
        namespace_options,
        click.option("--all", "everything", is_flag=True, help="All of the kind."),
        click.option("--overwrite", is_flag=True, help=f"Replace {marks} that have another value."),
        click.option("--list", "listed", is_flag=True, help=f"Only show the {marks} that there are."),
        edit_options,
    )

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def split(words: Sequence[str]) -> tuple[list[str], dict[str, str | None]]:
    """The names, and the marks with their values; None for one to remove. Raises click.UsageError."""
    names: list[str] = []
    marks: dict[str, str | None] = {}
    for word in words:
        key, equals, value = word.partition("=")
        # The name of an object does not end with a dash.
        is_removal = not equals and word.endswith("-")
        if not equals and not is_removal:
            if marks:
                raise click.UsageError(f"{word!r} is no KEY=VALUE and no KEY-; names come first")
            names.append(word)
            continue
        key = word[:-1] if is_removal else key
        if not key:
            raise click.UsageError(f"{word!r} has no key; write, for example, team=web or team-")
        if key in marks:
            raise click.UsageError(f"{key} is given twice; keep one of them")
        marks[key] = None if is_removal else value
    return names, marks


def mark(
    application: Application,
    words: Sequence[str],
    selection: Selection,
    make: Make,
    flags: EditFlags,
    *,
    everything: bool,
    overwrite: bool,
    done: str,
) -> None:
    """Make the changes that the words ask for, and say for each object that it is `done`."""
    from reconciler.app.finding import existing
    from reconciler.cli.targets import targets

    names, marks = split(words)
    if not marks:
        raise click.UsageError("say what to change: KEY=VALUE, or KEY- to remove one")
    refs = targets(application.objects, names, (), selection, everything=everything)
    found = existing(application.objects, [str(ref) for ref in refs])
    for stored in found:
        # All are checked before the first is changed.
        make(stored, marks, overwrite=overwrite)
    for stored in found:

        def change_of(each: StoredObject[Any]) -> Change:
            return make(each, marks, overwrite=overwrite)

        if change(application, str(stored.ref), change_of, flags):
            click.echo(f"{stored.ref} {done}")


def show(
    application: Application, words: Sequence[str], selection: Selection, of: Asked, *, everything: bool
) -> None:
    """Write what objects have, one KEY=VALUE a line."""
    from reconciler.app.finding import existing
    from reconciler.cli.targets import targets

    names, marks = split(words)
    if marks:
        raise click.UsageError("--list changes nothing; leave KEY=VALUE out")
    refs = targets(application.objects, names, (), selection, everything=everything)
    for stored in existing(application.objects, [str(ref) for ref in refs]):
        if len(refs) > 1:
            click.echo(f"{stored.ref}:")
        for key, value in sorted(of(stored).items()):
            click.echo(printable(f"{key}={value}"))
