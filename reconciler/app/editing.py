"""Changes a spec in the service's manifest; if that is in Git, as one commit.

A manifest from standard input is only in the store, and is changed there.
"""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler import files
from reconciler.api.edit import Edit, edit_manifest
from reconciler.api.errors import VaultError
from reconciler.api.yaml_writing import document as written_out
from reconciler.app.applying import apply
from reconciler.app.places import Credentials, Place, WorkTree, place_of
from reconciler.app.revising import Ask, changed_fields, revise

if TYPE_CHECKING:
    from reconciler.app.changes import Change
    from reconciler.store.base import Objects, StoredObject

__all__ = ["Edited", "How", "edit", "edit_freely"]

SHORT: Final = 8
"""Characters of a short commit hash."""


@dataclass(frozen=True)
class How:
    """How a change is made. `message` replaces the subject of the commit, `here` is the directory where the search for a
    clone starts, `environ` is for git, and `credentials` for a new clone, if not the user's own. A `dry_run` writes
    nothing.
    """

    here: Path
    environ: Mapping[str, str]
    message: str | None = None
    push: bool = False
    dry_run: bool = False
    credentials: Credentials | None = None


@dataclass(frozen=True)
class Edited:
    """The result of a change.

    `difference` is empty when the fields had these values already. `commit` is its hash and `branch` where it is;
    both are empty outside of Git. `path` is the file that was changed outside of Git. `made` has the texts
    of a dry run.
    """

    stored: StoredObject[Any]
    difference: str
    path: Path | None = None
    branch: str = ""
    commit: str = ""
    subject: str = ""
    pushed: bool = False
    made: Edit | None = None


def edit(objects: Objects, stored: StoredObject[Any], change: Change, how: How, now: datetime) -> Edited:
    """Make a change. An object that was applied by command is stored again; a source reads its own files again.

    Raises VaultError with the reason; then nothing has changed.
    """

    def make(path: Path) -> Edit:
        return edit_manifest(path, stored.ref, change.fields)

    with place_of(stored, how.here, how.environ, how.credentials, may_clone=how.push or how.dry_run) as place:
        return _carry_out(objects, stored, make, lambda made: change.subject(made.old), how, place, now)


def edit_freely(objects: Objects, stored: StoredObject[Any], ask: Ask, how: How, now: datetime) -> Edited:
    """Have a manifest edited by `ask`, which gets its text and returns another, until the result is valid.

    Raises VaultError with the reason; then nothing has changed. A working copy that cannot take a commit is refused before
    anything is asked.
    """

    def make(path: Path) -> Edit | None:
        return revise(path, stored.ref, ask)

    def subject(made: Edit) -> str:
        return f"edit({stored.name}): {', '.join(changed_fields(made)) or 'comments'}"

    with place_of(stored, how.here, how.environ, how.credentials, may_clone=how.push or how.dry_run) as place:
        if place.tree is not None and not how.dry_run:
            place.tree.check(push=how.push)
        return _carry_out(objects, stored, make, subject, how, place, now)


def _carry_out(
    objects: Objects,
    stored: StoredObject[Any],
    make: Callable[[Path], Edit | None],
    subject: Callable[[Edit], str],
    how: How,
    place: Place,
    now: datetime,
) -> Edited:
    made = _edited(stored, place.path, make)
    if made is None:
        return Edited(stored, "")
    shown = made.path.name if place.tree is None else str(made.path.relative_to(place.tree.root))
    difference = made.diff(shown) if made.is_change else ""
    if how.dry_run or not difference:
        return Edited(stored, difference, made=made)
    done = _write_down(stored, made, difference, subject(made), how, place)
    if stored.origin.kind == "apply":
        apply(objects, made.manifest.resource, stored.origin, now)
    return done


def _edited(stored: StoredObject[Any], path: Path | None, make: Callable[[Path], Edit | None]) -> Edit | None:
    if path is not None:
        return make(path)
    resource = stored.resource.model_copy(update={"status": None})
    document = resource.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    # A generation is the store's.
    document["metadata"].pop("generation", None)
    document = {"apiVersion": resource.api_version, "kind": resource.kind, **document}
    with tempfile.TemporaryDirectory(prefix="vaultctl-") as directory:
        written = Path(directory) / "stored.yaml"
        written.write_text(written_out(document, readable=True), encoding="utf-8")
        return make(written)


def _write_down(
    stored: StoredObject[Any], made: Edit, difference: str, subject: str, how: How, place: Place
) -> Edited:
    if place.tree is not None:
        message = how.message or subject
        commit = _commit(place.tree, made, message, push=how.push)
        return Edited(stored, difference, None, place.tree.branch, commit, message.splitlines()[0], how.push)
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
    """Replace a file atomically, with the same mode. Raises VaultError."""
    try:
        files.replace(path, text.encode(), mode=stat.S_IMODE(path.stat().st_mode))
    except OSError as error:
        raise VaultError(f"{path} cannot be written: {error.strerror}; it is as it was") from error
