"""What `-f` names: manifests from files, directories and stdin, as one set, and the stacks that they come to.

Everything is read and built before anything is done with it, so that a mistake in the last file keeps the first one
from being applied half of the way, and all mistakes are told at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from reconciler.api import Manifest, Problem, VaultService
    from reconciler.core.desired.stack import Stack
    from reconciler.wiring import Application

__all__ = ["STDIN", "Prepared", "file_option", "prepare", "read"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

MOST_NAMED: Final = 20
DASH: Final = Path("-")
STDIN: Final = Path("<stdin>")
"""Stands for standard input in messages; settings files are then relative to the working directory."""


@dataclass(frozen=True)
class Prepared:
    """A manifest and the stack that it comes to."""

    manifest: Manifest
    stack: Stack

    @property
    def service(self) -> VaultService:
        """What the manifest asks for."""
        return self.manifest.service

    @property
    def name(self) -> str:
        """The name of the VaultService."""
        return self.manifest.service.name


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
    """The VaultServices of all `files`. Raises ManifestError with every problem of all of them."""
    from reconciler.api import ManifestError, parse, survey
    from reconciler.api.conflicts import Document, conflicts
    from reconciler.api.yaml_nodes import ScalarNode

    manifests: list[Manifest] = []
    problems: list[Problem] = []
    for path in files:
        try:
            if path == DASH:
                manifests += parse(_standard_input(), STDIN)
                continue
            found = survey(path)
            _tell_of_foreign(found.foreign)
            manifests += found.all_or_nothing()
        except ManifestError as error:
            problems += error.problems
    if len(files) > 1:
        # Each file is free of conflicts by now. Between two, the line of the document is as near as we can point.
        documents = [Document(each, ScalarNode(None, "", each.line, 1)) for each in manifests]
        problems += [conflict.problem for conflict in conflicts(documents)]
    if problems:
        raise ManifestError(problems)
    return manifests


def _tell_of_foreign(files: Sequence[Path]) -> None:
    from reconciler.cli.output import say

    if files:
        names = ", ".join(map(str, files[:MOST_NAMED]))
        more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
        say(f"passed over, as no VaultService is written there: {names}{more} (.vaultignore keeps them out)")


def prepare(application: Application, manifests: Sequence[Manifest]) -> list[Prepared]:
    """The stacks of all manifests, in their order; warnings of the build go to stderr.

    Raises ManifestError with every problem of all of them.
    """
    from reconciler.api import ManifestError, Problem, VaultError
    from reconciler.cli.output import warn
    from vault_plugins.contract import PluginError

    prepared: list[Prepared] = []
    problems: list[Problem] = []
    for manifest in manifests:
        _warn_of_readable_secrets(manifest)
        try:
            stack = application.build(manifest.service, manifest.path.parent)
        except ManifestError as error:
            problems += error.problems
        except (VaultError, PluginError) as error:
            problems.append(Problem(manifest.path, manifest.line, 1, "", f"{manifest.service.name}: {error}"))
        else:
            for warning in stack.warnings:
                warn(f"{manifest.path}:{manifest.line}: {stack.name}: {warning}")
            prepared.append(Prepared(manifest, stack))
    if problems:
        raise ManifestError(problems)
    return prepared


def _warn_of_readable_secrets(manifest: Manifest) -> None:
    from reconciler.api import permission_warning
    from reconciler.cli.output import warn

    for entry in manifest.service.spec.env_from:
        path = manifest.path.parent / entry.file
        # That a file is missing is for the build to say.
        if path.exists() and (warning := permission_warning(path)):
            warn(f"{manifest.path}:{manifest.line}: {warning}")


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
