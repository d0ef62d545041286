"""Writes of API clients: each becomes desired state, where the object's desired state is.

An object of `vaultctl apply` or of a client is written in the store. One of a directory is edited in its file, as `vaultctl
set` does; one of a Git repository is only changed there, and the error names the repository.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.api import managed
from reconciler.api.errors import ManifestError, VaultError
from reconciler.api.kinds import Kind, Ref
from reconciler.api.list_types import sets_of
from reconciler.api.managed import Manager, Operation
from reconciler.api.manifest import Manifest
from reconciler.api.moments import format_moment
from reconciler.api.server_set import LAST_APPLIED
from reconciler.app.changes import Change
from reconciler.app.cluster.documents import document
from reconciler.app.cluster.written import (
    FieldValidation,
    InvalidError,
    Mistake,
    Written,
    mistakes_of,
    read,
    with_deletion,
)
from reconciler.app.editing import How, edit
from reconciler.app.preparing import prepare
from reconciler.app.revisions import differences
from reconciler.store.base import NO_MANIFEST, ApiMetadata, ChangedError, Origin, StoredObject

if TYPE_CHECKING:
    from reconciler.api.resource import Resource
    from reconciler.app.preparing import Build
    from reconciler.store.base import WritableObjects

__all__ = ["ConflictError", "Done", "ElsewhereError", "ExistsError", "GoneError", "Writer"]

PLACE: Final = "Kubernetes API"
FIRST: Final = "before-first-apply"
"""The manager of all that was set before managers were known."""
SUFFIX: Final = 5
"""Characters after a `generateName`."""
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"

Document = Mapping[str, Any]


class ConflictError(VaultError):
    """The object is not what the client takes it for."""


class ExistsError(VaultError):
    """An object of that name is there."""


class GoneError(VaultError):
    """There is no object of that name."""


class ElsewhereError(VaultError):
    """The object's desired state is not here, or not as a client may write it."""


@dataclass(frozen=True, slots=True)
class Done:
    """A write: the document as it is now, or would be, None if the object is gone; and warnings."""

    document: Document | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Writer:
    """Writes objects. `newest` returns the newest document of an object, with its resourceVersion; `roots` are directories
    whose files clients may name as settings.
    """

    objects: WritableObjects
    build: Build
    newest: Callable[[Ref], Document | None]
    now: Callable[[], datetime]
    roots: tuple[Path, ...] = ()

    def create(
        self,
        kind: Kind,
        sent: Document,
        validation: FieldValidation,
        *,
        by: str,
        dry_run: bool,
        operation: Operation = "Update",
    ) -> Done:
        """A new object, whose fields belong to the manager `by`. Raises VaultError; see the errors of this module and of
        `written`.
        """
        sent = _named(sent)
        written = read(sent, kind, validation)
        managers = managed.created(written.document, by, operation, format_moment(self.now()), sets_of(kind))
        written = replace(written, api=replace(written.api, managed_fields=managed.written(managers)))
        ref = written.resource.ref
        if self.objects.of(kind).get(ref.name) is not None:
            raise ExistsError(f"{ref} is there")
        if written.number:
            raise InvalidError(
                [Mistake("metadata.resourceVersion", "must not be set on objects to be created")]
            )
        warnings = self._check(written, None)
        origin = Origin("apply", PLACE, NO_MANIFEST, 1)
        if dry_run:
            stored = StoredObject(written.resource, origin, api=written.api)
            return Done(document(stored, _no_status(kind), self.now()), warnings)
        try:
            self.objects.of(kind).write(written.resource, origin, written.api, None)
        except ChangedError:
            raise ExistsError(f"{ref} is there") from None
        return Done(self.newest(ref), warnings)

    def replace(
        self,
        ref: Ref,
        change: Callable[[Document], Document],
        validation: FieldValidation,
        *,
        dry_run: bool,
        by: str,
        manage: Callable[[Document, Document], tuple[Manager, ...]] | None = None,
    ) -> Done:
        """The object after `change`, which the manager `by` makes; `manage` returns the managers of its fields, if that is
        not what a change comes to. Raises VaultError; ConflictError when it is not the one that the client knows.
        """
        its = self.objects.of(ref.kind)
        stored, before = its.get(ref.name), self.newest(ref)
        if stored is None or before is None:
            raise GoneError(f"there is no {ref}")
        if stored.origin.kind == "git":
            # Before all else: nothing that a client could mend makes it fit.
            raise ElsewhereError(f"it comes from the repository {stored.origin.place}: change it there")
        sent = change(json.loads(json.dumps(before)))
        written = read(sent, ref.kind, validation)
        self._check_preconditions(written, before, ref)
        api = with_deletion(written.api, stored.api)
        managers = (manage or self._changed(ref, by))(before, sent)
        managers = managed.within(written.document, managers, sets_of(ref.kind))
        api = replace(api, managed_fields=managed.written(managers))
        warnings = (*written.warnings, *self._check(written, stored))
        resource = _as_stored(written.resource, stored)
        if stored.origin.kind != "apply":
            return self._edit(stored, resource, api, warnings, dry_run=dry_run)
        if dry_run:
            would = StoredObject(resource, stored.origin, api=api)
            since = its.since(ref.name) or self.now()
            shown = document(would, its.status(ref.name), since)
            number = before["metadata"]["resourceVersion"]
            return Done({**shown, "metadata": {**shown["metadata"], "resourceVersion": number}}, warnings)
        try:
            its.write(resource, stored.origin, api, stored)
        except ChangedError:
            raise ConflictError(_MODIFIED) from None
        return Done(self.newest(ref), warnings)

    def apply(
        self, ref: Ref, config: Document, validation: FieldValidation, *, by: str, force: bool, dry_run: bool
    ) -> tuple[Done, bool]:
        """Server-side apply, and whether the object is new. Raises VaultError; FieldConflictError unless `force`."""
        metadata = config.get("metadata")
        if isinstance(metadata, Mapping) and metadata.get("managedFields"):
            raise InvalidError([Mistake("metadata.managedFields", "must be left out of what is applied")])
        its = self.objects.of(ref.kind)
        stored = its.get(ref.name)
        if stored is None:
            return self.create(ref.kind, config, validation, by=by, dry_run=dry_run, operation="Apply"), True
        now, is_set = format_moment(self.now()), sets_of(ref.kind)
        applied: list[managed.Applied] = []

        def change(live: Document) -> Document:
            managers = _managers(live) or managed.created(
                _without_defaults(stored), FIRST, "Update", now, is_set
            )
            applied.append(managed.apply(live, config, managers, by, now, is_set, force=force))
            return applied[-1].document

        done = self.replace(
            ref, change, validation, by=by, dry_run=dry_run, manage=lambda *_: applied[-1].managers
        )
        return done, False

    def _changed(self, ref: Ref, by: str) -> Callable[[Document, Document], tuple[Manager, ...]]:
        def manage(before: Document, sent: Document) -> tuple[Manager, ...]:
            known, given = (each["metadata"].get("managedFields") for each in (before, sent))
            if given is not None and given != known:
                # A client may hand fields over; an empty entry forgets all managers.
                entries = [each for each in given if each] if isinstance(given, list) else [given]
                return _managers({"metadata": {"managedFields": entries}})
            return managed.changed(
                before, sent, _managers(before), by, format_moment(self.now()), sets_of(ref.kind)
            )

        return manage

    def delete(self, ref: Ref, *, uid: str | None, number: str | None, dry_run: bool) -> Done:
        """Request the deletion of an object; its volumes stay. Raises VaultError."""
        its = self.objects.of(ref.kind)
        stored, before = its.get(ref.name), self.newest(ref)
        if stored is None or before is None:
            raise GoneError(f"there is no {ref}")
        for field, given in (("uid", uid), ("resourceVersion", number)):
            if given is not None and given != before["metadata"][field]:
                raise ConflictError(
                    f"Precondition failed: {field} in precondition: {given}, in object meta: {before['metadata'][field]}"
                )
        if stored.origin.kind != "apply":
            raise ElsewhereError(
                f"it comes from {stored.origin.place}, which would make it again: remove it there"
            )
        if not dry_run:
            its.request_deletion(ref.name, False, self.now())
        return Done(self.newest(ref))

    def _check_preconditions(self, written: Written, before: Document, ref: Ref) -> None:
        metadata = before["metadata"]
        if written.resource.ref != ref:
            raise InvalidError(
                [Mistake("metadata.name", f"must be {ref.name}, as in the path of the request")]
            )
        if written.uid is not None and written.uid != metadata["uid"]:
            raise ConflictError(
                f"Precondition failed: UID in precondition: {written.uid}, UID in object meta: {metadata['uid']}"
            )
        if written.number is not None and written.number != metadata["resourceVersion"]:
            raise ConflictError(_MODIFIED)

    def _check(self, written: Written, stored: StoredObject[Any] | None) -> tuple[str, ...]:
        """Refuse what cannot run, as `vaultctl apply` does. Returns warnings."""
        resource = written.resource
        allowed = set(stored.resource.settings_files.values()) if stored else set()
        outside = [
            Mistake(field, "names a file of the machine: set it on the machine with vaultctl")
            for field, file in resource.settings_files.items()
            if file not in allowed and not any(_is_below(file, root) for root in self.roots)
        ]
        if outside:
            raise InvalidError(outside)
        said = list(written.warnings)
        try:
            prepare(self.build, [Manifest(resource, NO_MANIFEST, 1)], said.append)
        except ManifestError as error:
            raise InvalidError(
                [replace(each, field=each.field or "spec") for each in mistakes_of(error)]
            ) from None
        place = f"{NO_MANIFEST}:1: "
        return tuple(dict.fromkeys(each.removeprefix(place) for each in said))

    def _edit(
        self,
        stored: StoredObject[Any],
        resource: Resource,
        api: ApiMetadata,
        warnings: tuple[str, ...],
        *,
        dry_run: bool,
    ) -> Done:
        known = stored.api or ApiMetadata()
        # Who has set a field is not kept for a file: others edit it as well.
        if _labels(resource) != _labels(stored.resource) or replace(api, managed_fields=()) != replace(
            known, managed_fields=()
        ):
            raise ElsewhereError(
                f"it comes from {stored.origin.manifest}, where its metadata is only changed in the file"
            )
        fields = differences(
            *(each.spec.model_dump(mode="json", by_alias=True) for each in (stored.resource, resource))
        )
        if several := [name for name, value in fields.items() if isinstance(value, list | dict)]:
            raise ElsewhereError(
                f"it comes from {stored.origin.manifest}, and {', '.join(several)} is more than one value: edit the file"
            )
        if fields:
            change = Change(fields, lambda _: f"set({stored.name}): {', '.join(fields)}")
            how = How(stored.origin.manifest.parent, os.environ, dry_run=dry_run)
            edit(self.objects, stored, change, how, self.now())
            if not dry_run:
                # The source finds the same in the file a moment later.
                self.objects.of(stored.ref.kind).apply(resource, stored.origin)
        return Done(self.newest(stored.ref), warnings)


_MODIFIED: Final = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def _managers(document: Document) -> tuple[Manager, ...]:
    try:
        return managed.managers_of(document["metadata"].get("managedFields") or ())
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise InvalidError([Mistake("metadata.managedFields", str(error))]) from None


def _without_defaults(stored: StoredObject[Any]) -> Document:
    resource = stored.resource.model_copy(update={"status": None})
    found: Document = resource.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return found


def _named(sent: Document) -> Document:
    metadata = sent.get("metadata")
    prefix = metadata.get("generateName") if isinstance(metadata, Mapping) else None
    if not isinstance(metadata, Mapping) or not isinstance(prefix, str) or metadata.get("name"):
        return sent
    name = prefix + "".join(secrets.choice(_LETTERS) for _ in range(SUFFIX))
    return {**sent, "metadata": {**metadata, "name": name}}


def _as_stored(resource: Resource, stored: StoredObject[Any]) -> Resource:
    """The resource with the generation that it will have, for the answer of a dry run."""
    metadata = resource.metadata
    changed = resource.spec != stored.resource.spec
    generation = stored.generation + 1 if changed else stored.generation
    metadata = metadata.model_copy(update={"generation": generation})
    return resource.model_copy(update={"metadata": metadata})


def _labels(resource: Resource) -> tuple[Mapping[str, str], Mapping[str, str]]:
    annotations = {key: value for key, value in resource.metadata.annotations.items() if key != LAST_APPLIED}
    return dict(resource.metadata.labels), annotations


def _no_status(kind: Kind) -> Any:
    return kind.load_model().status_model()()


def _is_below(file: str, root: Path) -> bool:
    return file.startswith("/") and Path(os.path.normpath(file)).is_relative_to(root)
