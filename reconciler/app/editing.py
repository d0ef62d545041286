"""Changes a spec in the service's manifest; if that is in Git, as one commit.

A manifest from standard input is only in the store, and is changed there.
"""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler import files
from reconciler.api.edit import Edit, edit_manifest
from reconciler.api.errors import VaultError
from reconciler.api.yaml_writing import document as written_out
from reconciler.app.applying import apply
from reconciler.app.places import Place, WorkTree, place_of

if TYPE_CHECKING:
    from reconciler.app.changes import Change
    from reconciler.store.base import Objects, StoredObject

__all__ = ["Edited", "How", "edit"]

SHORT: Final = 8
"""Characters of a short commit hash."""


@dataclass(frozen=True)
class How:
    """How a change is made. `message` replaces the subject of the commit, `here` is the directory where the search for a
    clone starts, and `environ` is for git. A `dry_run` writes nothing.
    """

    here: Path
    environ: Mapping[str, str]
    message: str | None = None
    push: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Edited:
    """The result of a change.

    `difference` is empty when the fields had these values already. `commit` is its hash and `branch` where it is;
    both are empty outside of Git. `path` is the file that was changed outside of Git.
    """

    stored: StoredObject[Any]
    difference: str
    path: Path | None = None
    branch: str = ""
    commit: str = ""
    subject: str = ""
    pushed: bool = False


def edit(objects: Objects, stored: StoredObject[Any], change: Change, how: How, now: datetime) -> Edited:
    """Make a change. An object that was applied by command is stored again; a source reads its own files again.

    Raises VaultError with the reason; then nothing has changed.
    """
    with place_of(stored, how.here, how.environ, may_clone=how.push or how.dry_run) as place:
        made = _edited(stored, place.path, change)
        shown = made.path.name if place.tree is None else str(made.path.relative_to(place.tree.root))
        difference = made.diff(shown) if made.is_change else ""
        if how.dry_run or not difference:
            return Edited(stored, difference)
        done = _write_down(stored, made, difference, change, how, place)
    if stored.origin.kind == "apply":
        apply(objects, made.manifest.resource, stored.origin, now)
    return done


def _edited(stored: StoredObject[Any], path: Path | None, change: Change) -> Edit:
    if path is not None:
        return edit_manifest(path, stored.ref, change.fields)
    resource = stored.resource.model_copy(update={"status": None})
    document = resource.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    document = {"apiVersion": resource.api_version, "kind": resource.kind, **document}
    with tempfile.TemporaryDirectory(prefix="vaultctl-") as directory:
        written = Path(directory) / "stored.yaml"
        written.write_text(written_out(document, readable=True), encoding="utf-8")
        return edit_manifest(written, stored.ref, change.fields)


def _write_down(
    stored: StoredObject[Any], made: Edit, difference: str, change: Change, how: How, place: Place
) -> Edited:
    if place.tree is not None:
        message = how.message or change.subject(made.old)
        commit = _commit(place.tree, made, message, push=how.push)
        subject = message.splitlines()[0]
        return Edited(stored, difference, None, place.tree.branch, commit, subject, how.push)
    if how.push:
        raise VaultError(f"{made.path} is not in Git, so there is nothing to push; leave --push out")
    if place.path is not None:
        _write(place.path, made.after)
    return Edited(stored, difference, place.path)


def _commit(tree: WorkTree, made: Edit, message: str, *, push: bool) -> str:
    tree.check(push=push)
    _write(made.path, made.after)
    try:
        commit = tree.commit(made.path, message)
    except VaultError as error:
        _write(made.path, made.before)
        raise VaultError(f"git made no commit, so {made.path.name} is as it was: {error}") from error
    if push:
        try:
            tree.push()
        except VaultError as error:
            raise VaultError(
                f"committed as {commit[:SHORT]}, but not pushed: {error}; run: git pull --rebase && git push"
            ) from error
    return commit[:SHORT]


def _write(path: Path, text: str) -> None:
    """Replace a file atomically, with the same mode."""
    files.replace(path, text.encode(), mode=stat.S_IMODE(path.stat().st_mode))
