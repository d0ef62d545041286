"""Changes of desired state by command: an edit of the manifest, and where that is in Git, a commit of one line.

`scale`, `set`, `suspend` and their like differ only in the fields that they change and in how they word the commit.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from reconciler.app.finding import existing
from reconciler.cli.durations import DURATION
from reconciler.cli.errors import Failure
from reconciler.cli.output import say

if TYPE_CHECKING:
    from reconciler.api.edit import Edit
    from reconciler.api.yaml_nodes import Scalar
    from reconciler.sources.git.worktree import WorkTree
    from reconciler.store.base import StoredObject
    from reconciler.wiring import Application

__all__ = ["EditFlags", "change", "edit_options", "now_text"]

SHORT: Final = 8

Subject = Callable[[Mapping[str, Any]], str]
"""Words a commit, from the values that there were before."""


@dataclass(frozen=True)
class EditFlags:
    """How a change shall be made; `timeout` is in seconds."""

    message: str | None = None
    push: bool = False
    dry_run: bool = False
    timeout: float = 300.0


@dataclass(frozen=True)
class _Place:
    """The file to change, and the working copy to commit it in; either may be missing."""

    path: Path | None
    tree: WorkTree | None


def edit_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every change of a manifest has; the verb gets `flags`."""

    @functools.wraps(verb)
    def collected(
        *args: Any, message: str | None, push: bool, dry_run: bool, timeout: float, **kwargs: Any
    ) -> Any:
        return verb(*args, flags=EditFlags(message, push, dry_run, timeout), **kwargs)

    options = (
        click.option("-m", "--message", help="The commit's message, instead of ours."),
        click.option(
            "--push", is_flag=True, help="Push the commit; without a clone here, make it in a new one."
        ),
        click.option("--dry-run", is_flag=True, help="Print the difference and change nothing."),
        click.option(
            "--timeout",
            type=DURATION,
            default="5m",
            show_default=True,
            help="How long to converge where no controller runs.",
        ),
    )
    decorated: Callable[..., Any] = collected
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def now_text() -> str:
    """This moment as manifests write it: RFC 3339, in UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def change(
    application: Application, name: str, changes: Mapping[str, Scalar], subject: Subject, flags: EditFlags
) -> None:
    """Change fields of `spec` (such as "replicas" or "env.LEVEL") where the service NAME is written down.

    Raises VaultError or Failure with what is in the way; then nothing has changed.
    """
    (stored,) = existing(application.objects, [name])
    with _place(stored, flags) as place:
        edit = _edit(stored, place.path, changes)
        if not edit.is_change:
            click.echo(f"{stored.name} is that already; nothing to change")
            return
        shown = edit.path.name if place.tree is None else str(edit.path.relative_to(place.tree.root))
        if flags.dry_run:
            click.echo(edit.diff(shown), nl=False)
            return
        if place.tree is not None:
            _commit(place.tree, edit, flags.message or subject(edit.old), push=flags.push)
        elif flags.push:
            raise Failure(f"{edit.path} is not in Git, so there is nothing to push; leave --push out")
        elif place.path is not None:
            _write(place.path, edit.after)
            click.echo(f"{place.path} changed")
    _follow_up(application, stored, edit, flags)


@contextmanager
def _place(stored: StoredObject, flags: EditFlags) -> Iterator[_Place]:
    from reconciler.sources.git.worktree import WorkTree

    manifest = stored.origin.manifest
    if stored.origin.kind == "git":
        with _clone_of(stored, flags) as place:
            yield place
    elif manifest.is_file():
        tree = WorkTree.around(manifest.parent, os.environ)
        path = manifest.resolve()
        yield _Place(path, tree) if tree and tree.holds(path) else _Place(manifest, None)
    elif stored.origin.kind == "apply":
        yield _Place(None, None)
    else:
        raise Failure(f"{manifest} is gone, which {stored.name} comes from; put it back first")


@contextmanager
def _clone_of(stored: StoredObject, flags: EditFlags) -> Iterator[_Place]:
    """The working copy that we stand in, or else a new one that is pushed and thrown away."""
    from reconciler.sources.git.address import in_repository, split_place
    from reconciler.sources.git.clone import CURRENT
    from reconciler.sources.git.worktree import WorkTree

    address = split_place(stored.origin.place)
    relative = in_repository(stored.origin.manifest, CURRENT)
    here = WorkTree.around(Path.cwd(), os.environ)
    if here is not None and here.is_of(address):
        if here.branch != address.branch:
            raise Failure(
                f"{stored.name} follows {address.branch}, and this clone is on {here.branch}; "
                f"run: git switch {address.branch}"
            )
        yield _Place(here.root / relative, here)
        return
    if not (flags.push or flags.dry_run):
        raise Failure(
            f"{stored.name} comes from {address.place}; run this in a clone of it, or with --push from anywhere"
        )
    with tempfile.TemporaryDirectory(prefix="vaultctl-") as directory:
        tree = WorkTree.clone(address, Path(directory), os.environ)
        yield _Place(tree.root / relative, tree)


def _edit(stored: StoredObject, path: Path | None, changes: Mapping[str, Scalar]) -> Edit:
    from reconciler.api.edit import edit_manifest

    if path is not None:
        return edit_manifest(path, stored.name, changes)
    # It came from standard input: what is stored is all that there is.
    from reconciler.api.yaml_writing import document as written_out

    service = stored.service.model_copy(update={"status": None})
    document = service.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    document = {"apiVersion": service.api_version, "kind": service.kind, **document}
    with tempfile.TemporaryDirectory(prefix="vaultctl-") as directory:
        written = Path(directory) / "stored.yaml"
        written.write_text(written_out(document, readable=True), encoding="utf-8")
        return edit_manifest(written, stored.name, changes)


def _commit(tree: WorkTree, edit: Edit, message: str, *, push: bool) -> None:
    from reconciler.api import VaultError

    tree.check(push=push)
    _write(edit.path, edit.after)
    try:
        commit = tree.commit(edit.path, message)
    except VaultError as error:
        _write(edit.path, edit.before)
        raise Failure(f"git made no commit, so {edit.path.name} is as it was: {error}") from error
    click.echo(f"[{tree.branch} {commit[:SHORT]}] {message.splitlines()[0]}")
    if push:
        try:
            tree.push()
        except VaultError as error:
            raise Failure(
                f"committed as {commit[:SHORT]}, but not pushed: {error}; run: git pull --rebase && git push"
            ) from error
        click.echo("pushed")


def _write(path: Path, text: str) -> None:
    """Replace a file by one with the same mode, at once for its readers."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
        Path(temporary).chmod(path.stat().st_mode & 0o7777)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _follow_up(application: Application, stored: StoredObject, edit: Edit, flags: EditFlags) -> None:
    """Bring what was written into the objects, where no source does."""
    if stored.origin.kind != "apply":
        if not application.controller_is_running():
            say(
                f"no controller is running on this state directory; one that follows {stored.origin.place} will act"
            )
        return
    mark = datetime.now(UTC).isoformat()
    application.objects.apply(edit.manifest.service, stored.origin, requested_at=mark)
    if application.controller_is_running():
        return
    say("no controller is running on this state directory: converging here")
    outcome = application.controller().converge([stored.name], flags.timeout)[stored.name]
    if not outcome.ready:
        raise Failure(f"{stored.name} is not Ready: {outcome.reason}: {outcome.message}")
    click.echo(f"{stored.name} is Ready: {outcome.message}")
