"""Atomic file replacement, and locks that the kernel releases when their holder dies.

Every layer writes files, so this one is below them all; errors are OSError, which each layer translates. Directories that
HAProxy's user may write to are untrusted and handled by proxy/haproxy/directory.py.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600


def replace(
    path: Path, content: bytes, *, mode: int = PRIVATE, durable: bool = False, alone: bool = False
) -> None:
    """Replace a file atomically; other users cannot read it before it has its `mode`. Raises OSError.

    `durable` returns when a power cut cannot undo it. `alone`: no other process writes it at the same time, so that the
    unfinished file of a killed one is reused; otherwise the unfinished file has a name of its own.
    """
    temporary = path.with_name(f".{path.name}.new")
    if alone:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    else:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(descriptor, mode)
            if durable:
                file.flush()
                os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync_directory(path.parent)


def try_lock(path: Path) -> int | None:
    """The descriptor of a lock file, made when missing, if no other process holds it; closing it ends the lock.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
