"""The records of adoptions and releases: `<state>/adoptions/<name>.json`.

They are not in the directory of the service, because deleting the object removes that, and a record has to outlive it: it
says which containers have the data then. A record is durable before the step that it announces is taken.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from reconciler.api import PermanentError
from reconciler.core.adoption.record import Adoption, RecordError, from_document, to_document
from reconciler.store import files

__all__ = ["DIRECTORY", "AdoptionStore"]

DIRECTORY: Final = "adoptions"
LOCK_TIMEOUT: Final = 1.0


class AdoptionStore:
    """The records in one state directory, for any number of threads and processes."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = state_dir / DIRECTORY

    def names(self) -> tuple[str, ...]:
        """The services that have a record, sorted."""
        with files.disk_errors(self._directory, "list"):
            if not self._directory.is_dir():
                return ()
            return tuple(sorted(path.stem for path in self._directory.glob("*.json")))

    def get(self, name: str) -> Adoption | None:
        """The record of a service, if there is one. Raises PermanentError for one that cannot be read."""
        path = self._path(name)
        content = files.read(path)
        if content is None:
            return None
        try:
            return from_document(json.loads(content))
        except (RecordError, ValueError) as error:
            raise PermanentError(
                f"{path} cannot be read: {error}; restore it from a backup, since it says which containers "
                f"have the data of {name}"
            ) from None

    def put(self, record: Adoption) -> None:
        """Write a record; on return, a power cut cannot undo it."""
        files.make_traversable(self._directory)
        content = json.dumps(to_document(record), indent=1).encode() + b"\n"
        files.write(self._path(record.name), content, durable=True)

    def remove(self, name: str) -> None:
        """Forget a service."""
        files.remove(self._path(name))

    def locked(self, name: str) -> AbstractContextManager[None]:
        """Held by the one process that takes steps. Raises TemporaryError when another one does."""
        return files.locked(self._directory / f".{name}.lock", LOCK_TIMEOUT)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"
