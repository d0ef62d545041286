"""Objects in the state directory: `<state>/services/<name>/object.json`, the desired state, and `status.json`; other kinds
are beside `services`.

This is the reconciler's API server, made of files: sources and `vaultctl apply` write objects and the loop reads them,
from any process at any time. Other files of the same directory are ignored, except that removing an object removes them
too.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, overload

from pydantic import TypeAdapter, ValidationError

from reconciler.api import PermanentError, TemporaryError
from reconciler.api.formats import ServiceName
from reconciler.api.kinds import VAULT_SERVICE, Kind, Ref
from reconciler.api.model import AS_STORED
from reconciler.api.moments import format_moment
from reconciler.api.reasons import Reason
from reconciler.store import files
from reconciler.store.base import (
    BELL,
    STATUS_BELL,
    ApiMetadata,
    ChangedError,
    Deletion,
    Hide,
    Origin,
    ResourceT,
    StatusT,
    StoredObject,
    UnreadableError,
    as_it_is,
)
from reconciler.store.layout import COPY, OBJECT, STATUS, key_of, names_in, objects_of
from reconciler.store.ours import require_ours
from reconciler.store.parsed import Parsed

if TYPE_CHECKING:
    from reconciler.api import Status, VaultService
    from reconciler.api.resource import Resource

LOCK: Final = ".object.lock"
LOCK_TIMEOUT: Final = 5.0
FIELD: Final = "resource"
"""The field of StoredObject that holds the resource."""
MAX_NAME: Final = 255
"""Longest file name in characters."""

_NAMES: Final[TypeAdapter[str]] = TypeAdapter(ServiceName)

log = logging.getLogger(__name__)


class ObjectStore(Generic[ResourceT, StatusT]):
    """The objects of one kind in a state directory, for any number of threads and processes.

    `hide` removes the secrets of an object from texts about it.
    """

    @overload
    def __init__(self: ObjectStore[VaultService, Status], state_dir: Path, hide: Hide = as_it_is) -> None: ...
    @overload
    def __init__(self, state_dir: Path, hide: Hide, kind: Kind) -> None: ...
    def __init__(self, state_dir: Path, hide: Hide = as_it_is, kind: Kind = VAULT_SERVICE) -> None:
        self._state = state_dir
        self._hide = hide
        self._kind = kind
        self._of_kind: dict[Kind, ObjectStore[Any, Any]] = {}
        self._key = key_of(kind)
        self._objects = objects_of(state_dir, kind)
        self._parsed = Parsed(self._read)
        self._statuses = Parsed(self._read_status)

    def of(self, kind: Kind) -> ObjectStore[Any, Any]:
        """The objects of a kind in the same state directory."""
        if kind == self._kind:
            return self
        # Kept, because a store remembers what it has parsed.
        return self._of_kind.setdefault(kind, ObjectStore[Any, Any](self._state, self._hide, kind))

    def names(self) -> tuple[str, ...]:
        """The names of all objects, sorted."""
        return names_in(self._objects)

    def directory(self, name: str) -> Path:
        """The directory of an object's files. Raises PermanentError for an invalid name."""
        try:
            return self._objects / _NAMES.validate_python(name)
        except ValidationError as error:
            rule = error.errors(include_input=False, include_url=False)[0]["msg"]
            raise PermanentError(f"{name!r} cannot be the name of a {self._kind.name}: it {rule}") from None

    def precedes(self, first: str, second: str) -> bool:
        """Whether an object `first` exists and was applied before `second`, or `second` does not exist."""
        since = self._since(first) if len(first) <= MAX_NAME else None
        other = self._since(second)
        return since is not None and (other is None or (since, first) < (other, second))

    def keep(self, name: str) -> None:
        """Make the copy for `kept` of an object that a former release has written; one that cannot be read has none."""
        directory = self.directory(name)
        if (directory / COPY).exists():
            return
        with self._locked(name), suppress(ValidationError):
            if content := files.read(directory / OBJECT):
                self._read(content)
                files.write(directory / COPY, content, durable=False)

    def stamp(self) -> object | None:
        """Another one after an object of this kind came, changed or went; None just after such a change, because the next
        one may have the same time.
        """
        times = [_changed(path) for path in (self._objects, self._objects / BELL)]
        return tuple(times) if abs(time.time_ns() - max(times)) > files.SETTLED_NS else None

    def since(self, name: str) -> datetime | None:
        """When the object of that name was first applied; None without one."""
        found = self._since(name)
        return None if found is None else datetime.fromtimestamp(found / 1e9, UTC)

    def _since(self, name: str) -> int | None:
        # The lock file is created with the directory and never written to, so its time is that of the first apply.
        directory = self._objects / name
        try:
            return (directory / LOCK).stat().st_mtime_ns if (directory / OBJECT).exists() else None
        except OSError:
            return None

    def get(self, name: str) -> StoredObject[ResourceT] | None:
        """The object of that name. Raises UnreadableError for a file that cannot be parsed."""
        path = self.directory(name) / OBJECT
        content = files.read(path)
        if content is None:
            self._forget(path.parent)
            return None
        try:
            return self._parsed.of(path, content)
        except ValidationError as error:
            raise UnreadableError(
                f"{path} cannot be understood ({_first(error)}): apply the manifest again to replace it"
            ) from None

    def content(self, name: str) -> bytes | None:
        """The object of that name as it is stored; None if there is none. Raises TemporaryError."""
        return files.read(self.directory(name) / OBJECT)

    def restore(self, name: str, content: bytes) -> None:
        """Store an object as it was stored elsewhere, in place of one of that name. Raises PermanentError if it is none."""
        stored = self.understood(name, content)
        with self._locked(name):
            self._write(stored)

    def understood(self, name: str, content: bytes) -> StoredObject[ResourceT]:
        """The object of that name that this content is. Raises PermanentError if it is none."""
        try:
            stored = self._read(content)
        except ValidationError as error:
            raise PermanentError(f"what was kept of {name} cannot be understood ({_first(error)})") from None
        if stored.name != name:
            raise PermanentError(f"what was kept as {name} is {stored.name}")
        return stored

    def kept(self, name: str) -> StoredObject[ResourceT] | None:
        """The object of that name as it was last written, for when `get` cannot read it; None if that is lost too."""
        content = files.read(self.directory(name) / COPY)
        with suppress(ValidationError):
            return self._read(content) if content else None
        return None

    def apply(
        self, resource: ResourceT, origin: Origin, *, requested_at: str | None = None
    ) -> StoredObject[ResourceT]:
        """Store a spec and return the stored object.

        The generation is 1, or one more than before if the spec differs. Raises TemporaryError while the object of
        that name is being deleted; a deletion that waits for other objects is taken back.
        """
        name = resource.name
        with self._locked(name):
            try:
                before = self.get(name)
            except PermanentError as error:
                log.warning("%s", error)
                before = None
            if before is not None and before.deletion is not None and not self._kind.deletion_waits:
                raise TemporaryError(f"{name} is being deleted: apply it again when it is gone")
            mark = requested_at or (before.requested_at if before else None)
            api = before.api if before else None
            if before is not None and api is not None and api.managed_fields:
                api = replace(api, managed_fields=_handed_over(before, resource, origin))
            if api is not None and before is not None and before.deletion is not None:
                api = replace(api, deletion=None)
            return self._put(resource, origin, mark, api, before, None)

    def write(
        self, resource: ResourceT, origin: Origin, api: ApiMetadata, before: StoredObject[ResourceT] | None
    ) -> StoredObject[ResourceT]:
        """Like `apply`, with the metadata of API clients, if the object is still `before`. Raises ChangedError.

        Once no finalizer is left, a deletion that waited for them is requested.
        """
        with self._locked(resource.name):
            if self.get(resource.name) != before:
                raise ChangedError(f"{resource.name} has been changed by another one")
            mark = before.requested_at if before else None
            kept = api if api != ApiMetadata() else None
            deletion = before.deletion if before else None
            return self._put(resource, origin, mark, kept, before, deletion)

    def _put(
        self,
        resource: ResourceT,
        origin: Origin,
        mark: str | None,
        api: ApiMetadata | None,
        before: StoredObject[ResourceT] | None,
        deletion: Deletion | None,
    ) -> StoredObject[ResourceT]:
        located = _located(resource, origin)
        generation = self._generation(before, resource.name, located)
        metadata = resource.metadata.model_copy(update={"generation": generation})
        wanted = located.model_copy(update={"metadata": metadata, "status": None})
        asked = api.deletion if api and not api.finalizers else None
        after = StoredObject(
            wanted,
            origin,
            deletion or asked,
            requested_at=mark,
            api=api,
            evicted=before.evicted if before else None,
        )
        if after != before:
            self._write(after)
        return after

    def mark_problem(self, name: str, text: str, reason: str = Reason.INVALID_MANIFEST) -> None:
        """Remember why the newest manifest of an object cannot be used; the object itself stays as it is."""
        problem = self._hide(text, self._label(name))
        self._change(name, lambda stored: replace(stored, problem=problem, problem_reason=reason))

    def request_deletion(self, name: str, volumes: bool, now: datetime) -> None:
        """Request the deletion of an object; a second request can only add the volumes. It begins when no finalizer of
        an API client is left.
        """

        def requested(stored: StoredObject[ResourceT]) -> StoredObject[ResourceT]:
            api = stored.api or ApiMetadata()
            first = stored.deletion or api.deletion or Deletion(volumes, now)
            deletion = replace(first, volumes=first.volumes or volumes)
            if api.finalizers and stored.deletion is None:
                return replace(stored, api=replace(api, deletion=deletion))
            return replace(stored, deletion=deletion)

        self._change(name, requested)

    def request_eviction(self, name: str, container: str, among: Collection[str], now: datetime) -> None:
        """Request the replacement of a container. Former requests for containers that are gone are forgotten."""

        def requested(stored: StoredObject[ResourceT]) -> StoredObject[ResourceT]:
            kept = {key: when for key, when in (stored.evicted or {}).items() if key in among}
            return replace(stored, evicted={container: now, **kept})

        self._change(name, requested)

    def request_pass(self, name: str, requested_at: str) -> None:
        """Request a pass over an object with a unique mark, and change nothing else."""
        self._change(name, lambda stored: replace(stored, requested_at=requested_at))

    def remove(self, name: str) -> None:
        """Remove an object and all its files; one whose deletion was taken back meanwhile stays.

        The object file is removed last: while it exists, the removal is not finished.
        """
        directory = self.directory(name)
        if not directory.is_dir():
            return
        with self._locked(name), files.disk_errors(directory, "list"):
            if self._kind.deletion_waits and (stored := self.get(name)) and stored.deletion is None:
                return
            last = [directory / OBJECT, directory / LOCK]
            for path in [*(path for path in directory.iterdir() if path not in last), *last]:
                files.remove(path)
            with suppress(OSError):
                # A process that waited for the lock may have created the directory again; it must stay.
                directory.rmdir()
            self._forget(directory)
            self._ring(name, STATUS_BELL)

    def orphan(self, name: str) -> None:
        """Remove an object and keep the files that its containers still use."""
        directory = self.directory(name)
        if directory.is_dir():
            with self._locked(name):
                files.remove(directory / STATUS)
                files.remove(directory / COPY)
                files.remove(directory / OBJECT)
                self._forget(directory)
                self._ring(name)

    def _forget(self, directory: Path) -> None:
        self._parsed.forget(directory / OBJECT)
        self._statuses.forget(directory / STATUS)

    def status(self, name: str) -> StatusT:
        """The last status of an object; an empty one if there is none or its file is damaged."""
        path = self.directory(name) / STATUS
        content = files.read(path)
        if content is None:
            self._statuses.forget(path)
            return self._status_model()
        try:
            return self._statuses.of(path, content)
        except ValidationError as error:
            log.warning("%s cannot be understood and is ignored (%s)", path, _first(error))
            return self._status_model()

    def put_status(self, name: str, status: StatusT) -> None:
        """Store the status; writes only if it differs, and not after the object was removed."""
        path = self.directory(name) / STATUS
        told = tuple(
            condition.model_copy(update={"message": self._hide(condition.message, self._label(name))})
            for condition in status.conditions
        )
        status = status.model_copy(update={"conditions": told})
        content = status.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
        if content != files.read(path) and (path.parent / OBJECT).exists():
            files.write(path, content, durable=False)
            self._ring(name, STATUS_BELL)

    def _change(
        self, name: str, change: Callable[[StoredObject[ResourceT]], StoredObject[ResourceT]]
    ) -> None:
        if self.get(name) is None:
            return
        with self._locked(name):
            before = self.get(name)
            if before is not None and (after := change(before)) != before:
                self._write(after)

    def _generation(self, before: StoredObject[ResourceT] | None, name: str, wanted: ResourceT) -> int:
        if before is None:
            # More than 1 only if a damaged object is replaced: its old status must not look up to date.
            return self.status(name).observed_generation + 1
        return before.generation if wanted.spec == before.resource.spec else before.generation + 1

    def _write(self, stored: StoredObject[ResourceT]) -> None:
        content = self._adapter.dump_json(stored, indent=2, by_alias=True, exclude_none=True)
        content = _renamed(content, FIELD, self._key) + b"\n"
        files.write(self.directory(stored.name) / OBJECT, content, durable=True)
        files.write(self.directory(stored.name) / COPY, content, durable=False)
        self._ring(stored.name)

    def _ring(self, name: str, *bells: str) -> None:
        # First, for those who hear the bells: the kernel tells them which directory was touched.
        with suppress(OSError):
            os.utime(self.directory(name))
        # Both with a first object: a file that is created later would change the stamp.
        for bell in bells or (BELL, STATUS_BELL):
            with files.disk_errors(self._objects, "write in"):
                (self._objects / bell).touch(files.PRIVATE)

    def _read(self, content: bytes) -> StoredObject[ResourceT]:
        return self._adapter.validate_json(_renamed(content, self._key, FIELD), context=AS_STORED)

    def _read_status(self, content: bytes) -> StatusT:
        return self._status_model.model_validate_json(content)

    @property
    def _status_model(self) -> type[StatusT]:
        return self._kind.load_model().status_model()  # type: ignore[return-value]

    @property
    def _adapter(self) -> TypeAdapter[StoredObject[ResourceT]]:
        return _adapter_of(self._kind)

    def _label(self, name: str) -> str:
        return Ref(self._kind, name).label

    def _locked(self, name: str) -> AbstractContextManager[None]:
        directory = self.directory(name)
        for outer in (self._state, self._objects):
            require_ours(outer)
            files.make_traversable(outer)
        return files.locked(directory / LOCK, LOCK_TIMEOUT)


@cache
def _adapter_of(kind: Kind) -> TypeAdapter[StoredObject[Any]]:
    return TypeAdapter(StoredObject[kind.load_model()])  # type: ignore[misc,arg-type]


def _renamed(content: bytes, old: str, new: str) -> bytes:
    """The text of an object with another name for the field that holds the resource."""
    if old == new:
        return content
    # Objects are read often. Ours have that field first; one that was written by another program may not.
    renamed, count = re.subn(rf'\A(\s*{{\s*)"{old}"'.encode(), rf'\1"{new}"'.encode(), content)
    if count:
        return renamed
    with suppress(ValueError):
        document = json.loads(content)
        if isinstance(document, dict) and old in document:
            return json.dumps({new: document.pop(old), **document}).encode()
    return content


def _located(resource: ResourceT, origin: Origin) -> ResourceT:
    try:
        return resource.located(origin.manifest.parent)
    except ValidationError as error:
        fields = " or ".join(resource.settings_files)
        raise PermanentError(
            f"{origin.manifest}:{origin.line}: the path of {fields} is too long once it is absolute ({_first(error)})"
        ) from None


def _handed_over(
    before: StoredObject[Any], resource: Resource, origin: Origin
) -> tuple[Mapping[str, Any], ...]:
    """The managers of the fields, of which a manifest may have changed some: they are no API client's any more."""
    from reconciler.api import managed
    from reconciler.api.list_types import sets_of

    assert before.api is not None
    known = before.api.managed_fields
    old, new = (
        each.model_dump(mode="json", by_alias=True) for each in (before.resource, _located(resource, origin))
    )
    now = format_moment(datetime.now(UTC))
    by = "vaultctl" if origin.kind == "apply" else origin.kind
    after = managed.changed(old, new, managed.managers_of(known), by, now, sets_of(resource.of_kind))
    return managed.written(after)


def _changed(path: Path) -> int:
    """When a file was last changed, in nanoseconds; 0 when there is none."""
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0


def _first(error: ValidationError) -> str:
    finding = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(str(step) for step in finding["loc"])
    return f"{field}: {finding['msg']}" if field else finding["msg"]
