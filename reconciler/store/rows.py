"""A small JSON file of the state directory that several processes change: read again only when it has changed.

Its content is private (mode 0600), written atomically, and changed under a lock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from reconciler.api import PermanentError
from reconciler.store import files

__all__ = ["Rows", "by_key"]

LOCK_TIMEOUT: Final = 5.0

Row = TypeVar("Row")


class Rows(Generic[Row]):
    """The rows of one file by their keys, for any number of threads and processes.

    Raises TemporaryError for disk errors, and PermanentError for a file that cannot be understood.
    """

    def __init__(
        self,
        path: Path,
        decode: Callable[[Any], dict[str, Row]],
        encode: Callable[[Mapping[str, Row]], object],
        advice: str = "restore it from a backup, or remove it",
    ) -> None:
        """`decode` makes the rows of what the file holds as JSON, and `encode` is the way back. A ValueError, TypeError,
        KeyError or AttributeError of `decode` says that it cannot be understood; `advice` is what to do then.
        """
        self.path = path
        self._decode = decode
        self._encode = encode
        self._advice = advice
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
                content = json.dumps(self._encode(rows), indent=2)
                files.write(self.path, content.encode() + b"\n", durable=True)

    def _load(self) -> dict[str, Row]:
        try:
            status = self.path.stat()
        except OSError:
            return {}
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        if stamp != self._read[0]:
            try:
                self._read = (stamp, self._decode(json.loads(files.read(self.path) or b"{}")))
            except (ValueError, TypeError, KeyError, AttributeError):
                raise PermanentError(f"{self.path} cannot be understood: {self._advice}") from None
        return self._read[1]


def by_key(
    load: Callable[[dict[str, Any]], Row], dump: Callable[[Row], dict[str, Any]]
) -> tuple[Callable[[Any], dict[str, Row]], Callable[[Mapping[str, Row]], object]]:
    """`decode` and `encode` of a file that is an object of rows, each of which `load` and `dump` convert."""

    def decode(found: Any) -> dict[str, Row]:
        return {key: load(row) for key, row in found.items()}

    return decode, lambda rows: {key: dump(row) for key, row in rows.items()}
