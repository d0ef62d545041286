"""The audit log: who wrote what through the API, from where, and with which result; `<state>/audit.jsonl`, a line each.

It holds no content of documents, which may be secret. At MAX_BYTES a new file is begun, and one former one is kept. What
was refused is in a file of its own: a client without a role, or without a password, can be refused without end, and would
push out what others have done.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.store import files

__all__ = ["FILE", "REFUSED", "REFUSED_FILE", "Audit"]

FILE: Final = "audit.jsonl"
REFUSED_FILE: Final = "audit-refused.jsonl"
REFUSED: Final = "refused"
"""The `stage` of a record about what was not even begun: for the role of its client, or for its password."""
MAX_BYTES: Final = 16 * 1024 * 1024
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class Audit:
    """The log of one state directory, for any number of threads. Raises TemporaryError when a line cannot be written."""

    def __init__(self, state_dir: Path, most: int = MAX_BYTES) -> None:
        self._directory = state_dir
        self._most = most
        self._lock = threading.Lock()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record."""
        path = self._directory / (REFUSED_FILE if record.get("stage") == REFUSED else FILE)
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._lock, files.disk_errors(path, "write"):
            if (size := _size(path)) and size + len(line) > self._most:
                path.replace(path.with_name(f"{path.name}.1"))
            descriptor = os.open(path, _APPEND, files.PRIVATE)
            try:
                _append(descriptor, line)
            finally:
                os.close(descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _append(descriptor: int, line: bytes) -> None:
    before, left = os.fstat(descriptor).st_size, line
    try:
        # A disk that becomes full takes a part of a line without an error.
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError:
        os.ftruncate(descriptor, before)
        raise
