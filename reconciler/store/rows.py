"""A small JSON file of the state directory that several processes change: read again only when it has changed.

Its content is private (mode 0600), written atomically, and changed under a lock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Generic, TypeVar

from reconciler.api import PermanentError
from reconciler.store import files

__all__ = ["Rows"]

LOCK_TIMEOUT: Final = 5.0

Row = TypeVar("Row")


class Rows(Generic[Row]):
    """The rows of one file by their keys, for any number of threads and processes.

    Raises TemporaryError for disk errors, and PermanentError for a file that cannot be understood.
    """

    def __init__(
        self, path: Path, load: Callable[[dict[str, object]], Row], dump: Callable[[Row], dict[str, object]]
    ) -> None:
        """`load` makes a row of its JSON object and raises ValueError, TypeError or KeyError; `dump` is the way back."""
        self.path = path
        self._load_row = load
        self._dump_row = dump
        self._lock = threading.Lock()
        self._read: tuple[object, dict[str, Row]] = (None, {})

    def all(self) -> dict[str, Row]:
        """The rows as they are now; the caller may change the mapping."""
        with self._lock:
            return dict(self._load())

    def get(self, key: str) -> Row | None:
        """The row with this key."""
        with self._lock:
            return self._load().get(key)

    @contextmanager
    def changing(self) -> Iterator[dict[str, Row]]:
        """The rows, which are written as the block leaves them, unless it raises or changes nothing."""
        with files.locked(self.path.with_name(f".{self.path.name}.lock"), LOCK_TIMEOUT):
            rows = self.all()
            before = dict(rows)
            yield rows
            if rows != before:
                content = {key: self._dump_row(row) for key, row in rows.items()}
                files.write(self.path, json.dumps(content, indent=2).encode() + b"\n", durable=True)

    def _load(self) -> dict[str, Row]:
        try:
            status = self.path.stat()
        except OSError:
            return {}
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        if stamp != self._read[0]:
            try:
                found = json.loads(files.read(self.path) or b"{}")
                self._read = (stamp, {key: self._load_row(row) for key, row in found.items()})
            except (ValueError, TypeError, KeyError, AttributeError):
                raise PermanentError(
                    f"{self.path} cannot be understood: restore it from a backup, or remove it"
                ) from None
        return self._read[1]
