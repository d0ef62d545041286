"""Digests of the files that containers mount, whose change is a change of the workload.

A container may be able to make such a file arbitrarily big, or sparse, and each pass needs all of them: so there is a limit
to what is read. A file beyond it counts as one without content, and is reported.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from io import RawIOBase
from pathlib import Path
from stat import S_ISREG
from typing import Final

MAX_FILE: Final = 128 * 2**20
"""Bytes; about half a second of one processor."""
MAX_TOTAL: Final = 256 * 2**20
"""Bytes of all files of one stack."""
CHUNK: Final = 2**20


@dataclass
class MountedFiles:
    """What was read for one stack; `skipped` are the files that were too big."""

    max_file: int = MAX_FILE
    max_total: int = MAX_TOTAL
    skipped: list[str] = field(default_factory=list)
    _found: dict[str, str | None] = field(default_factory=dict)
    _total: int = 0

    def digest(self, path: str) -> str | None:
        """12 hex digits of SHA-256 of a file's content; None for what is no file, cannot be read or is too big."""
        if path not in self._found:
            self._found[path] = self._read(path)
        return self._found[path]

    def _read(self, path: str) -> str | None:
        try:
            stat = Path(path).stat()
        except (OSError, ValueError):
            return None
        if not S_ISREG(stat.st_mode):
            return None
        if stat.st_size > self.max_file or self._total + stat.st_size > self.max_total:
            self.skipped.append(path)
            return None
        self._total += stat.st_size
        try:
            return _digest_version(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            return None

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each file whose change will not be noticed."""
        limits = f"{self.max_file // 2**20} MiB a file and {self.max_total // 2**20} MiB a service"
        return tuple(
            f"{path!r} is too big to be read whole ({limits}): a change of it replaces no container; mount its "
            "directory instead, or restart the service after a change"
            for path in self.skipped
        )


@lru_cache(maxsize=1024)
def _digest_version(path: str, _modified: int, size: int, _inode: int) -> str:
    """Every pass needs the digest; an unchanged file is read once. An error is not kept: permissions that were repaired
    change none of these. Raises OSError, also for what has become a pipe since its stat.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no file any more")
        return _digest(file, size)


def _digest(file: RawIOBase, size: int) -> str:
    # At most the counted size: a file that grows while it is read has no end.
    found = hashlib.sha256()
    while size > 0 and (chunk := file.read(min(CHUNK, size))):
        found.update(chunk)
        size -= len(chunk)
    return found.hexdigest()[:12]
