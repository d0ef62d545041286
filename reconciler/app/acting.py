"""Changes that a person asks for over the network: first what they come to, then, once confirmed, the change itself.

Both go through `editing`, as the verbs of vaultctl do: an edit of the manifest, and in Git a commit of that person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.api.kinds import VAULT_SERVICE
from reconciler.api.manifest import parse
from reconciler.app.editing import Edited, How, edit
from reconciler.app.places import Credentials
from reconciler.core.environment import passed
from vault_plugins.contract import PluginError

if TYPE_CHECKING:
    from reconciler.api.edit import Edit
    from reconciler.api.resource import Resource
    from reconciler.app.changes import Change
    from reconciler.app.preparing import Build
    from reconciler.core.desired.stack import Stack
    from reconciler.core.plan.preview import Preview
    from reconciler.store.base import Objects, StoredObject

__all__ = ["Editor", "Machine", "Proposal"]

COMMITTER: Final = "vault-reconciler"


class Machine(Protocol):
    """Objects, and what would be done about them."""

    @property
    def objects(self) -> Objects:
        """Objects and their statuses."""

    @property
    def build(self) -> Build:
        """The stack of a VaultService."""

    def preview(self, stack: Stack) -> Preview:
        """Differences and plan of a stack; changes nothing."""


@dataclass(frozen=True)
class Proposal:
    """What a change comes to: how the manifest differs, and the next operations. `unseen` says why these are not known.

    The difference is empty when the manifest has these values already.
    """

    difference: str
    preview: Preview | None
    unseen: str = ""


@dataclass(frozen=True)
class Editor:
    """Makes changes for others. What is in a repository is changed in a new clone, with `credentials`; `here` is a
    directory outside of any. `signed`: only signed commits are followed, and it makes none.
    """

    machine: Machine
    here: Path
    environ: Mapping[str, str] = field(repr=False)
    now: Callable[[], datetime]
    credentials: Credentials | None = None
    signed: bool = False

    def propose(self, stored: StoredObject[Any], change: Change) -> Proposal:
        """What it comes to; changes nothing. Raises VaultError for what cannot be written, or cannot run."""
        done = edit(self.machine.objects, stored, change, self._how(stored, "", dry_run=True), self.now())
        if not done.difference or done.made is None:
            return Proposal("", None)
        resource = done.made.manifest.resource
        _check_files(resource, done.made)
        if stored.ref.kind != VAULT_SERVICE:
            return Proposal(done.difference, None)
        try:
            stack = self.machine.build(resource, stored.origin.manifest.parent)  # type: ignore[arg-type]
            return Proposal(done.difference, self.machine.preview(stack))
        except TemporaryError as error:
            return Proposal(done.difference, None, str(error))
        except PluginError as error:
            raise PermanentError(str(error)) from error

    def carry_out(self, stored: StoredObject[Any], change: Change, person: str) -> Edited:
        """Make the change in the name of a person. Raises VaultError; then nothing has changed."""
        return edit(
            self.machine.objects, stored, change, self._how(stored, person, dry_run=False), self.now()
        )

    def require_deletable(self, stored: StoredObject[Any]) -> None:
        """Raises VaultError for an object that its source would make again."""
        if stored.origin.kind != "apply":
            raise PermanentError(
                f"{stored.name} comes from {stored.origin.place}, which would make it again: remove it there"
            )

    def delete(self, stored: StoredObject[Any]) -> None:
        """Request the deletion of an object, whose volumes stay. Raises VaultError."""
        self.require_deletable(stored)
        self.machine.objects.of(stored.ref.kind).request_deletion(stored.name, False, self.now())

    def _how(self, stored: StoredObject[Any], person: str, *, dry_run: bool) -> How:
        is_elsewhere = stored.origin.kind == "git"
        if is_elsewhere and self.signed:
            raise PermanentError(
                f"{stored.name} comes from {stored.origin.place}, of which only signed commits are followed: change it "
                "there, with a signature of yours"
            )
        of_git = {name: value for name, value in self.environ.items() if name.startswith("GIT_")}
        environ = {**_names("COMMITTER", COMMITTER), **passed(self.environ), **of_git}
        if person:
            environ |= _names("AUTHOR", person)
        credentials = (self.credentials or Credentials()) if is_elsewhere else None
        return How(
            self.here, environ, push=is_elsewhere and not dry_run, dry_run=dry_run, credentials=credentials
        )


def _check_files(resource: Resource, made: Edit) -> None:
    """Raises PermanentError if a resource names another file of the machine than before."""
    manifests = parse(made.before.removeprefix("\ufeff"), made.path)
    former = next(each.resource for each in manifests if each.resource.ref == resource.ref)
    known = former.settings_files
    if others := sorted(name for name, file in resource.settings_files.items() if known.get(name) != file):
        raise PermanentError(
            f"{', '.join(others)} names a file of the machine: set it on the machine with vaultctl"
        )


def _names(who: str, name: str) -> dict[str, str]:
    address = name if "@" in name else f"{name}@localhost"
    return {f"GIT_{who}_NAME": name, f"GIT_{who}_EMAIL": address}
