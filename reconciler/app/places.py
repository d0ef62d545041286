"""Finds a service's manifest, and the working copy that holds it, if any."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.errors import VaultError
from reconciler.sources.git.address import in_repository, split_place
from reconciler.sources.git.clone import CURRENT
from reconciler.sources.git.command import Credentials
from reconciler.sources.git.worktree import WorkTree

if TYPE_CHECKING:
    from reconciler.store.base import StoredObject

__all__ = ["Credentials", "Place", "WorkTree", "commit_new", "place_of"]

IGNORE: Final = ".gitignore"
IGNORED: Final = "# Settings and secrets of services\n*.env\n"


@dataclass(frozen=True)
class Place:
    """The file to change, and the working copy to commit it in; either may be missing."""

    path: Path | None
    tree: WorkTree | None


@contextmanager
def place_of(
    stored: StoredObject[Any],
    here: Path,
    environ: Mapping[str, str],
    credentials: Credentials | None = None,
    *,
    may_clone: bool,
) -> Iterator[Place]:
    """The place of an object. One that comes from Git is changed in the working copy that `here` is in, or else in a
    new clone that lives as long as the block, if it `may_clone`; `credentials` are for that one.

    Raises VaultError when there is no place where it can be changed.
    """
    manifest = stored.origin.manifest
    if stored.origin.kind == "git":
        with _clone_of(stored, here, environ, credentials, may_clone=may_clone) as place:
            yield place
    elif manifest.is_file():
        tree = WorkTree.around(manifest.parent, environ)
        path = manifest.resolve()
        yield Place(path, tree) if tree and tree.holds(path) else Place(manifest, None)
    elif stored.origin.kind == "apply":
        yield Place(None, None)
    else:
        raise VaultError(f"{manifest} is gone, which {stored.name} comes from; put it back first")


@contextmanager
def _clone_of(
    stored: StoredObject[Any],
    here: Path,
    environ: Mapping[str, str],
    credentials: Credentials | None,
    *,
    may_clone: bool,
) -> Iterator[Place]:
    address = split_place(stored.origin.place)
    relative = in_repository(stored.origin.manifest, CURRENT)
    tree = WorkTree.around(here, environ)
    if tree is not None and tree.is_of(address):
        if tree.branch != address.branch:
            raise VaultError(
                f"{stored.name} follows {address.branch}, and this clone is on {tree.branch}; "
                f"run: git switch {address.branch}"
            )
        yield Place(tree.root / relative, tree)
        return
    if not may_clone:
        raise VaultError(
            f"{stored.name} comes from {address.place}; run this in a clone of it, or with --push from anywhere"
        )
    with tempfile.TemporaryDirectory(prefix="vaultctl-") as directory:
        tree = WorkTree.clone(address, Path(directory), environ, credentials)
        yield Place(tree.root / relative, tree)


def commit_new(files: Sequence[Path], message: str, environ: Mapping[str, str]) -> str:
    """Commit files that were just written, in a new repository if they are in none; files of settings are kept out of it.

    Returns what was done. Raises VaultError.
    """
    directory = files[0].absolute().parent
    tree = WorkTree.around(directory, environ)
    begun = ""
    if tree is None:
        tree, begun = WorkTree.begin(directory, environ), f"began a repository in {directory}; "
    ignored = tree.root / IGNORE
    paths = [path.absolute() for path in files]
    if not ignored.exists():
        ignored.write_text(IGNORED, encoding="utf-8")
        paths.append(ignored)
    return f"{begun}committed {tree.commit_new(paths, message)}"
