"""Manifests and the stacks that they come to, as one set.

All of them are built before anything is done with one, so that a mistake in the last keeps the first from being applied
halfway, and all mistakes are told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.api import ManifestError, Problem, VaultError, permission_warning
from vault_plugins.contract import PluginError

if TYPE_CHECKING:
    from reconciler.api import Manifest, VaultService
    from reconciler.core.desired.stack import Stack

__all__ = ["Build", "Prepared", "prepare"]

Build = Callable[["VaultService", Path], "Stack"]
"""The stack that a VaultService comes to; the path is where its relative files are. Raises VaultError."""


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


def prepare(build: Build, manifests: Sequence[Manifest], warn: Callable[[str], None]) -> list[Prepared]:
    """The stacks of all manifests, in their order; `warn` is told what is doubtful and no mistake.

    Raises ManifestError with every problem of all of them.
    """
    prepared: list[Prepared] = []
    problems: list[Problem] = []
    for manifest in manifests:
        _warn_of_readable_secrets(manifest, warn)
        try:
            stack = build(manifest.service, manifest.path.parent)
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


def _warn_of_readable_secrets(manifest: Manifest, warn: Callable[[str], None]) -> None:
    for entry in manifest.service.spec.env_from:
        path = manifest.path.parent / entry.file
        # That a file is missing is for the build to say.
        if path.exists() and (warning := permission_warning(path)):
            warn(f"{manifest.path}:{manifest.line}: {warning}")
