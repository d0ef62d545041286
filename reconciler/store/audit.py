"""The audit log: who wrote what through the API, from where, and with which result; `<state>/audit.jsonl`, a line each.

It holds no content of documents, which may be secret. At MAX_BYTES a new file is begun, and one former one is kept.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.store import files

__all__ = ["FILE", "Audit"]

FILE: Final = "audit.jsonl"
MAX_BYTES: Final = 16 * 1024 * 1024


class Audit:
    """The log of one state directory, for any number of threads. Raises TemporaryError when a line cannot be written."""

    def __init__(self, state_dir: Path, most: int = MAX_BYTES) -> None:
        self._path = state_dir / FILE
        self._most = most
        self._lock = threading.Lock()

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record."""
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        with self._lock, files.disk_errors(self._path, "write"):
            descriptor = os.open(
                self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, files.PRIVATE
            )
            try:
                if os.fstat(descriptor).st_size + len(line) > self._most:
                    self._path.replace(self._path.with_name(f"{FILE}.1"))
                    os.close(descriptor)
                    descriptor = os.open(
                        self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, files.PRIVATE
                    )
                os.write(descriptor, line)
            finally:
                os.close(descriptor)
