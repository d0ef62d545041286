"""The option `-f`: manifests from files, directories and stdin, as one set, and their stacks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from reconciler.api import Manifest, Problem
    from reconciler.app.preparing import Prepared
    from reconciler.cli.session import Session

__all__ = ["STDIN", "file_option", "prepared", "read"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

MOST_NAMED: Final = 20
DASH: Final = Path("-")
STDIN: Final = Path("<stdin>")
"""Stands for standard input in messages; settings files are then relative to the working directory."""


def file_option(*, required: bool = True) -> Callable[[Decorated], Decorated]:
    """The option `-f/--filename`, which may be given more than once; the verb gets `files`."""
    return click.option(
        "-f",
        "--filename",
        "files",
        type=click.Path(path_type=Path),
        multiple=True,
        required=required,
        help="A manifest, a directory of manifests, or - for standard input; may be given more than once.",
    )


def read(files: Sequence[Path]) -> list[Manifest]:
    """The resources of all `files`. Raises ManifestError with every problem of all of them."""
    from reconciler.api import ManifestError, survey
    from reconciler.api.conflicts import Document, conflicts
    from reconciler.api.manifest import survey_text
    from reconciler.api.yaml_nodes import ScalarNode

    manifests: list[Manifest] = []
    problems: list[Problem] = []
    for path in files:
        try:
            found = survey_text(_standard_input(), STDIN) if path == DASH else survey(path)
            _tell_of_foreign(found.foreign)
            manifests += found.all_or_nothing()
        except ManifestError as error:
            problems += error.problems
    if len(files) > 1:
        # Each file is free of conflicts by now. For two files, the document's line is the most exact position.
        documents = [Document(each, ScalarNode(None, "", each.line, 1)) for each in manifests]
        problems += [conflict.problem for conflict in conflicts(documents)]
    if problems:
        raise ManifestError(problems)
    return manifests


def _tell_of_foreign(files: Sequence[Path]) -> None:
    from reconciler.api.kinds import names_of_kinds
    from reconciler.cli.output import say

    if files:
        names = ", ".join(map(str, files[:MOST_NAMED]))
        more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
        say(f"skipped, since they hold no {names_of_kinds()}: {names}{more} (.vaultignore keeps them out)")


def prepared(session: Session, files: Sequence[Path], *, without_keys: bool = False) -> list[Prepared]:
    """The resources of all `files`, and the stacks of VaultServices; warnings go to stderr. Raises ManifestError with every
    problem. `without_keys`: see prepare(). Over the API there are no stacks: the controller makes them from what it gets.
    """
    from reconciler.app.preparing import Prepared, prepare
    from reconciler.cli.output import warn

    if session.remote is not None:
        manifests = read(files)
        session.remote.check(manifests)
        return [Prepared(each, None) for each in manifests]

    return prepare(session.application.build, read(files), warn, without_keys=without_keys)


def _standard_input() -> str:
    from reconciler.api import ManifestError, Problem
    from reconciler.api.text_file import MAX_BYTES, decode

    if sys.stdin is None:
        raise ManifestError([Problem(STDIN, 0, 0, "", "is closed", "pipe manifests into it, or name a file")])
    try:
        content = sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        advice = "pipe manifests into it, or name a file"
        raise ManifestError([Problem(STDIN, 0, 0, "", f"cannot be read: {error.strerror}", advice)]) from None
    return decode(content, STDIN)
