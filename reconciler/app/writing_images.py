"""Writes the image that a policy has chosen, as `vaultctl set` writes one: in a file, in Git or in the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.errors import PermanentError
from reconciler.app.changes import choose_image
from reconciler.app.editing import How, edit
from reconciler.app.places import Credentials
from reconciler.core.environment import passed

if TYPE_CHECKING:
    from reconciler.store.base import Objects, StoredObject

__all__ = ["ImageWriter"]

AUTHOR: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "vault-reconciler"), ("EMAIL", "vault-reconciler@localhost"))
}
"""Who commits, unless the environment names another one."""


@dataclass(frozen=True)
class ImageWriter:
    """Changes manifests for a controller. What is in a repository that it follows is changed only if it `pushes`, with
    `credentials`; `here` is a directory outside of any clone.
    """

    objects: Objects
    here: Path
    environ: Mapping[str, str] = field(repr=False)
    pushes: bool
    credentials: Credentials | None
    now: Callable[[], datetime]

    def write(self, stored: StoredObject[Any], workload: str, image: str) -> str:
        """Set the image of a workload, and return where that is written; "" if it was set already. Raises VaultError."""
        is_elsewhere = stored.origin.kind == "git"
        if is_elsewhere and not self.pushes:
            raise PermanentError(
                f"this controller may not push to {stored.origin.place}; run it with --push-images, or run: "
                f"vaultctl set {stored.name} images.{workload}={image} --push"
            )
        of_git = {name: value for name, value in self.environ.items() if name.startswith("GIT_")}
        environ = {**AUTHOR, **passed(self.environ), **of_git}
        credentials = (self.credentials or Credentials()) if is_elsewhere else None
        how = How(self.here, environ, push=is_elsewhere, credentials=credentials)
        done = edit(self.objects, stored, choose_image(stored.name, workload, image), how, self.now())
        if not done.difference:
            return ""
        if done.commit:
            return f"commit {done.commit} of {done.branch}"
        return str(done.path) if done.path else "the store"
