"""Objects in the state directory: `<state>/services/<name>/object.json`, the desired state, and `status.json`.

This is the reconciler's API server, made of files: sources and `vaultctl apply` write objects and the loop reads them,
from any process at any time. Other files of the same directory are ignored, except that removing an object removes them
too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from reconciler.api import EnvFrom, PermanentError, Spec, Status, TemporaryError, VaultService
from reconciler.api.formats import ServiceName
from reconciler.api.model import AS_STORED
from reconciler.api.reasons import Reason
from reconciler.store import files
from reconciler.store.base import BELL, Deletion, Hide, Origin, StoredObject, as_it_is
from reconciler.store.layout import OBJECT, STATUS, names_in, services_of
from reconciler.store.ours import require_ours

LOCK: Final = ".object.lock"
LOCK_TIMEOUT: Final = 5.0
MAX_NAME: Final = 255
"""Longest file name in characters."""

_OBJECTS: Final = TypeAdapter(StoredObject)
# base.py imports the model for type checkers only, so that reading the history does not import it.
_OBJECTS.rebuild(_types_namespace={"VaultService": VaultService})
_NAMES: Final[TypeAdapter[str]] = TypeAdapter(ServiceName)

log = logging.getLogger(__name__)


class ObjectStore:
    """The objects of one state directory, for any number of threads and processes.

    `hide` removes the secrets of a service from texts about it.
    """

    def __init__(self, state_dir: Path, hide: Hide = as_it_is) -> None:
        self._state = state_dir
        self._hide = hide
        self._services = services_of(state_dir)

    def names(self) -> tuple[str, ...]:
        """The names of all objects, sorted."""
        return names_in(self._services)

    def directory(self, name: str) -> Path:
        """The directory of a service's files. Raises PermanentError for an invalid name."""
        try:
            return self._services / _NAMES.validate_python(name)
        except ValidationError as error:
            rule = error.errors(include_input=False, include_url=False)[0]["msg"]
            raise PermanentError(f"{name!r} cannot be the name of a VaultService: it {rule}") from None

    def precedes(self, first: str, second: str) -> bool:
        """Whether an object `first` exists and was applied before `second`, or `second` does not exist."""
        since = self._since(first) if len(first) <= MAX_NAME else None
        other = self._since(second)
        return since is not None and (other is None or (since, first) < (other, second))

    def _since(self, name: str) -> int | None:
        # The lock file is created with the directory and never written to, so its time is that of the first apply.
        directory = self._services / name
        try:
            return (directory / LOCK).stat().st_mtime_ns if (directory / OBJECT).exists() else None
        except OSError:
            return None

    def get(self, name: str) -> StoredObject | None:
        """The object of that name. Raises PermanentError for a file that cannot be parsed."""
        path = self.directory(name) / OBJECT
        content = files.read(path)
        if content is None:
            return None
        try:
            return _OBJECTS.validate_json(content, context=AS_STORED)
        except ValidationError as error:
            raise PermanentError(
                f"{path} cannot be understood ({_first(error)}): apply the manifest again to replace it"
            ) from None

    def apply(
        self, service: VaultService, origin: Origin, *, requested_at: str | None = None
    ) -> StoredObject:
        """Store a spec and return the stored object.

        The generation is 1, or one more than before if the spec differs. Raises TemporaryError while the object of
        that name is being deleted.
        """
        with self._locked(service.name):
            try:
                before = self.get(service.name)
            except PermanentError as error:
                log.warning("%s", error)
                before = None
            if before is not None and before.deletion is not None:
                raise TemporaryError(f"{service.name} is being deleted: apply it again when it is gone")
            spec = service.spec.model_copy(update={"env_from": _absolute(service.spec.env_from, origin)})
            metadata = service.metadata.model_copy(
                update={"generation": self._generation(before, service.name, spec)}
            )
            wanted = service.model_copy(update={"metadata": metadata, "spec": spec, "status": None})
            mark = requested_at or (before.requested_at if before else None)
            after = StoredObject(wanted, origin, requested_at=mark)
            if after != before:
                self._write(after)
            return after

    def mark_problem(self, name: str, text: str, reason: str = Reason.INVALID_MANIFEST) -> None:
        """Remember why the newest manifest of an object cannot be used; the object itself stays as it is."""
        problem = self._hide(text, name)
        self._change(name, lambda stored: replace(stored, problem=problem, problem_reason=reason))

    def request_deletion(self, name: str, volumes: bool, now: datetime) -> None:
        """Request the deletion of a service; a second request can only add the volumes."""

        def requested(stored: StoredObject) -> StoredObject:
            first = stored.deletion or Deletion(volumes, now)
            return replace(stored, deletion=replace(first, volumes=first.volumes or volumes))

        self._change(name, requested)

    def remove(self, name: str) -> None:
        """Remove an object and all files of its service.

        The object file is removed last: while it exists, the removal is not finished.
        """
        directory = self.directory(name)
        if not directory.is_dir():
            return
        with self._locked(name), files.disk_errors(directory, "list"):
            last = [directory / OBJECT, directory / LOCK]
            for path in [*(path for path in directory.iterdir() if path not in last), *last]:
                files.remove(path)
            with suppress(OSError):
                # A process that waited for the lock may have created the directory again; it must stay.
                directory.rmdir()

    def orphan(self, name: str) -> None:
        """Remove an object and keep the files that its containers still use."""
        directory = self.directory(name)
        if directory.is_dir():
            with self._locked(name):
                files.remove(directory / STATUS)
                files.remove(directory / OBJECT)

    def status(self, name: str) -> Status:
        """The last status of a service; an empty Status if there is none or its file is damaged."""
        path = self.directory(name) / STATUS
        content = files.read(path)
        if content is None:
            return Status()
        try:
            return Status.model_validate_json(content)
        except ValidationError as error:
            log.warning("%s cannot be understood and is ignored (%s)", path, _first(error))
            return Status()

    def put_status(self, name: str, status: Status) -> None:
        """Store the status; writes only if it differs, and not after the object was removed."""
        path = self.directory(name) / STATUS
        told = tuple(
            condition.model_copy(update={"message": self._hide(condition.message, name)})
            for condition in status.conditions
        )
        status = status.model_copy(update={"conditions": told})
        content = status.model_dump_json(indent=2, exclude_none=True).encode() + b"\n"
        if content != files.read(path) and (path.parent / OBJECT).exists():
            files.write(path, content, durable=False)

    def _change(self, name: str, change: Callable[[StoredObject], StoredObject]) -> None:
        if self.get(name) is None:
            return
        with self._locked(name):
            before = self.get(name)
            if before is not None and (after := change(before)) != before:
                self._write(after)

    def _generation(self, before: StoredObject | None, name: str, spec: Spec) -> int:
        if before is None:
            # More than 1 only if a damaged object is replaced: its old status must not look up to date.
            return self.status(name).observed_generation + 1
        generation = before.service.metadata.generation
        return generation if spec == before.service.spec else generation + 1

    def _write(self, stored: StoredObject) -> None:
        content = _OBJECTS.dump_json(stored, indent=2, by_alias=True, exclude_none=True)
        files.write(self.directory(stored.name) / OBJECT, content + b"\n", durable=True)
        with files.disk_errors(self._services, "write in"):
            (self._services / BELL).touch(files.PRIVATE)

    def _locked(self, name: str) -> AbstractContextManager[None]:
        directory = self.directory(name)
        for outer in (self._state, self._services):
            require_ours(outer)
            files.make_traversable(outer)
        return files.locked(directory / LOCK, LOCK_TIMEOUT)


def _absolute(env_from: tuple[EnvFrom, ...], origin: Origin) -> tuple[EnvFrom, ...]:
    # Links are not resolved: if a link is switched, the file that it then points to has to be read.
    base = origin.manifest.parent
    try:
        return tuple(EnvFrom(file=str((base / each.file).absolute())) for each in env_from)
    except ValidationError as error:
        raise PermanentError(
            f"{origin.manifest}:{origin.line}: a path of spec.envFrom is too long once it is absolute ({_first(error)})"
        ) from None


def _first(error: ValidationError) -> str:
    finding = error.errors(include_input=False, include_url=False, include_context=False)[0]
    field = ".".join(str(step) for step in finding["loc"])
    return f"{field}: {finding['msg']}" if field else finding["msg"]
