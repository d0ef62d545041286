"""Makes the stored objects of a source equal to the source.

A source that is empty, partly readable or has typos must not cause deletions: an invalid manifest marks the object that it
is for, and mass deletion has to be allowed explicitly.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from reconciler.api import Manifest, PermanentError, VaultError
from reconciler.api.kinds import Ref
from reconciler.sources.base import Loaded, Source
from reconciler.store.base import Objects, Origin, StoredObject, refs

MAX_PRUNE: Final = 1
"""Services that may vanish from a source between two syncs and be deleted without confirmation."""

ALLOW_PRUNE: Final = "vault.internal/allow-prune"
"""An annotation; "true" on a service allows its deletion when it vanishes."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Synced:
    """The result of a sync: `due` for a pass, and `failures` that say what could not be stored, and why.

    A sync with a TemporaryError among its failures is worth repeating.
    """

    due: tuple[Ref, ...]
    failures: Mapping[Ref, VaultError]


def sync(
    loaded: Loaded,
    objects: Objects,
    source: Source,
    now: datetime,
    *,
    rivals: Collection[Source] = (),
    max_prune: int = MAX_PRUNE,
    allow_empty: bool = False,
) -> Synced:
    """Store what was loaded from `source`, of any kind, mark invalid objects, and request the deletion of missing ones.

    An object that one of the `rivals` owns is left to it. Due for a pass is what changed, and where the
    source cannot tell whether a file changed that a manifest names, all that it has. `allow_empty` lifts every limit
    on deleting.
    """
    failures: dict[Ref, VaultError] = {}
    due: set[Ref] = set()
    for manifest in loaded.manifests:
        ref = manifest.resource.ref
        its = objects.of(ref.kind)
        with _kept(failures, ref):
            if _store(manifest, loaded, its, source, rivals):
                due.add(ref)
            if loaded.setback:
                its.mark_problem(ref.name, loaded.setback.message, loaded.setback.reason)
    missing = tuple(_missing(loaded, objects, source, failures))
    doubtful = _doubtful(missing, loaded)
    unasked = sum(not _may_vanish(stored) and stored.ref not in doubtful for stored in missing)
    limit = len(missing) if allow_empty else max_prune if loaded.manifests else 0
    for stored in missing:
        its = objects.of(stored.ref.kind)
        with _kept(failures, stored.ref):
            if not loaded.complete:
                its.mark_problem(stored.name, _what_hides(stored, loaded, source))
            elif doubt := doubtful.get(stored.ref):
                its.mark_problem(stored.name, doubt)
            elif unasked > limit and not _may_vanish(stored):
                its.mark_problem(stored.name, _too_much(missing, loaded, source))
            elif stored.resource.is_orphaned:
                its.orphan(stored.name)
            else:
                its.request_deletion(stored.name, False, now)
    for ref, error in failures.items():
        _log.warning("%s from %s: %s", ref.label, source.place, error)
    every = {*due, *failures, *(stored.ref for stored in missing)}
    return Synced(tuple(sorted(every, key=str)), failures)


@contextmanager
def _kept(failures: dict[Ref, VaultError], ref: Ref) -> Iterator[None]:
    # One object that cannot be written must not keep the others from being written.
    try:
        yield
    except VaultError as error:
        failures[ref] = error


def _store(
    manifest: Manifest, loaded: Loaded, objects: Objects[Any, Any], source: Source, rivals: Collection[Source]
) -> bool:
    """Store one object; returns whether it is due for a pass."""
    ref = manifest.resource.ref
    before = _before(ref.name, objects)
    owner = before.origin if before else None
    if owner and not _is_from(owner, source) and any(_is_from(owner, rival) for rival in rivals):
        # Both would write it in turn, and each write would replace its containers.
        raise PermanentError(
            f"{manifest.path}:{manifest.line}: {ref.label} already comes from {owner.manifest}:{owner.line}; "
            "remove one of the two"
        )
    touched = loaded.touched is not None and ref in loaded.touched
    commit = loaded.commit
    if before and before.origin.commit and not touched and _says_the_same(before, manifest):
        # Most commits do not change this object; it names the last one that did.
        commit = before.origin.commit
    after = objects.apply(
        manifest.resource, Origin(source.kind, source.place, manifest.path, manifest.line, commit)
    )
    settled = (
        before is not None
        and before.resource == after.resource
        and before.deletion == after.deletion
        and not before.problem
    )
    return not settled or touched or loaded.touched is None or loaded.setback is not None


def _before(name: str, objects: Objects[Any, Any]) -> StoredObject[Any] | None:
    try:
        return objects.get(name)
    except PermanentError:
        # A damaged object has no owner: it is overwritten.
        return None


def _says_the_same(before: StoredObject[Any], manifest: Manifest) -> bool:
    wanted = manifest.resource
    metadata = wanted.metadata.model_copy(update={"generation": before.generation})
    return bool((before.resource.spec, before.resource.metadata) == (wanted.spec, metadata))


def _may_vanish(stored: StoredObject[Any]) -> bool:
    return bool(stored.resource.metadata.annotations.get(ALLOW_PRUNE) == "true")


def _missing(
    loaded: Loaded, objects: Objects, source: Source, failures: dict[Ref, VaultError]
) -> Iterator[StoredObject[Any]]:
    """The objects of the source that it does not hold; none while it is being written, when that is unknown."""
    if not loaded.complete and not loaded.problems:
        return
    present = {manifest.resource.ref for manifest in loaded.manifests}
    for ref in refs(objects):
        if ref in present:
            continue
        stored = None
        with _kept(failures, ref):
            stored = objects.of(ref.kind).get(ref.name)
        if stored and stored.deletion is None and _is_from(stored.origin, source):
            yield stored


def _doubtful(missing: Collection[StoredObject[Any]], loaded: Loaded) -> Mapping[Ref, str]:
    """Why objects are not deleted though the source was read completely: the file that each came from is ambiguous."""
    doubts: dict[Path, list[str]] = {}
    for doubt in loaded.doubts:
        doubts.setdefault(doubt.path, []).append(str(doubt))
    return {
        stored.ref: "\n".join(
            (*doubts[stored.origin.manifest], "remove the file if its services are to be deleted")
        )
        for stored in missing
        if stored.origin.manifest in doubts
    }


def _is_from(origin: Origin, source: Source) -> bool:
    return (origin.kind, origin.place) == (source.kind, source.place)


def _what_hides(stored: StoredObject[Any], loaded: Loaded, source: Source) -> str:
    manifest = stored.origin.manifest
    own = [
        str(problem)
        for problem in loaded.problems
        # The other side of a conflict is named in the message.
        if problem.path in (manifest, *manifest.parents) or f"{manifest}:" in problem.message
    ]
    if own:
        return "\n".join(own)
    every = "\n".join(str(problem) for problem in loaded.problems)
    return f"{source.place} holds it no longer, but could not be read whole, so it is not deleted:\n{every}"


def _too_much(missing: Collection[StoredObject[Any]], loaded: Loaded, source: Source) -> str:
    names = " ".join(stored.ref.label for stored in missing)
    what = f"{len(missing)} services at once" if loaded.manifests else "all its services"
    return (
        f"{source.place} has lost {what}, which may be a mistake, so nothing is deleted; "
        f"put the manifests back, run: vaultctl delete {names}, "
        f"or allow it with --allow-empty or the annotation {ALLOW_PRUNE}"
    )
