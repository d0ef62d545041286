"""Builds the stacks of manifests, as one set.

All are built before one is applied, so that an error in the last prevents a partial apply, and all errors are reported
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.api import ManifestError, Problem, VaultError, VaultService
from reconciler.api.reasons import Reason
from reconciler.app.documents import claimed
from reconciler.sealed import NoKeyError, readable_by_others
from vault_plugins.contract import PluginError

if TYPE_CHECKING:
    from reconciler.api import Manifest
    from reconciler.api.kinds import Ref
    from reconciler.api.resource import Resource
    from reconciler.core.desired.stack import Stack

__all__ = ["Build", "Prepared", "prepare"]

Build = Callable[["VaultService", Path], "Stack"]
"""The stack of a VaultService; the path is where its relative files are. Raises VaultError."""


@dataclass(frozen=True)
class Prepared:
    """A manifest, and its stack if it is a VaultService."""

    manifest: Manifest
    stack: Stack | None

    @property
    def summary(self) -> str:
        """What a VaultService comes to, in a few words; empty for other kinds."""
        if self.stack is None:
            return ""
        web = self.stack.replicas
        replicas = "stopped" if self.stack.is_stopped else "1 replica" if web == 1 else f"{web} replicas"
        places = claimed(self.resource)
        where = f"port {self.stack.published}" if not places else ", ".join(places)
        return f"{self.resource.spec.plugin}, {replicas} on {where}"

    @property
    def resource(self) -> Resource:
        """The resource of the manifest."""
        return self.manifest.resource

    @property
    def ref(self) -> Ref:
        """Its kind and name."""
        return self.manifest.resource.ref


def prepare(
    build: Build, manifests: Sequence[Manifest], warn: Callable[[str], None], *, without_keys: bool = False
) -> list[Prepared]:
    """The stacks of all manifests, in their order; `warn` is called with warnings. `without_keys`: a service whose settings
    are encrypted has no stack if no key was named, as where manifests are only checked.

    Raises ManifestError with every problem of all of them.
    """
    prepared: list[Prepared] = []
    problems: list[Problem] = []
    for manifest in manifests:
        _warn_of_readable_secrets(manifest, warn)
        resource = manifest.resource
        try:
            stack = build(resource, manifest.path.parent) if isinstance(resource, VaultService) else None
        except NoKeyError as error:
            if without_keys:
                warn(f"{error}; {resource.name} is checked without its plugin")
                prepared.append(Prepared(manifest, None))
            else:
                problems += error.problems
        except ManifestError as error:
            problems += error.problems
        except (VaultError, PluginError) as error:
            problems.append(Problem(manifest.path, manifest.line, 1, "", f"{resource.ref.label}: {error}"))
        else:
            problems += _forbidden(manifest, stack)
            for warning in stack.warnings if stack else ():
                warn(f"{manifest.path}:{manifest.line}: {resource.name}: {warning}")
            prepared.append(Prepared(manifest, stack))
    if problems:
        raise ManifestError(problems)
    return prepared


def _forbidden(manifest: Manifest, stack: Stack | None) -> Iterator[Problem]:
    """The host names that the operator does not let it claim; all other refusals depend on other objects and may pass."""
    for reason, message in stack.routed.problems if stack and stack.routed else ():
        if reason == Reason.HOSTNAME_NOT_PERMITTED:
            yield Problem(manifest.path, manifest.line, 1, "", f"{manifest.resource.ref.label}: {message}")


def _warn_of_readable_secrets(manifest: Manifest, warn: Callable[[str], None]) -> None:
    for file in manifest.resource.secret_files.values():
        path = manifest.path.parent / file
        # The build reports a missing file.
        if path.exists() and (warning := readable_by_others(path)):
            warn(f"{manifest.path}:{manifest.line}: {warning}")
