"""Atomic replacement of files, and a lock between processes.

The controller and `vaultctl` write to the state directory concurrently, disks fill up and machines lose power. All
functions raise TemporaryError with the path and the system's reason.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from reconciler.api import TemporaryError
from reconciler.files import PRIVATE, replace, try_lock
from reconciler.store.base import STATE_MODE
from reconciler.store.tree import remove_tree

__all__ = ["PRIVATE", "SETTLED_NS", "disk_errors", "locked", "make_traversable", "read", "remove", "write"]

TRAVERSABLE: Final = STATE_MODE

OTHERS_WRITE: Final = 0o022

LOCK_PAUSE: Final = 0.01

SETTLED_NS: Final = 2_000_000_000
"""Nanoseconds after which a file counts as not being written; ticks of file systems are shorter."""


@contextmanager
def disk_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn an OSError into a TemporaryError with the failed action, `path` and the reason."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise TemporaryError(f"cannot {doing} {path}: {reason}") from error


def make_traversable(directory: Path) -> None:
    """Create a directory and its parents, or fix the mode of an existing one: others can traverse, not write it."""
    with disk_errors(directory, "make"):
        # One by one: `parents=True` would use the umask for the parents, which may make them world-writable.
        for each in [directory, *directory.parents][::-1]:
            if not each.exists():
                each.mkdir(mode=TRAVERSABLE, exist_ok=True)
        status = directory.stat()
        mode = stat.S_IMODE(status.st_mode)
        wanted = mode | TRAVERSABLE if mode & stat.S_ISVTX else (mode | TRAVERSABLE) & ~OTHERS_WRITE
        if mode != wanted:
            directory.chmod(wanted)


def read(path: Path) -> bytes | None:
    """The content of a file, or None if it does not exist."""
    with disk_errors(path, "read"):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None


def write(path: Path, content: bytes, *, durable: bool) -> None:
    """Replace a file atomically by one of mode 0600; with `durable`, it is synced to disk on return."""
    with disk_errors(path, "write"):
        replace(path, content, durable=durable)


def remove(path: Path) -> None:
    """Remove a file or a directory tree, if it exists. Symbolic links are never followed."""
    with disk_errors(path, "remove"), suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            remove_tree(path)
        else:
            path.unlink()


@contextmanager
def locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold the lock file `path`; it and its directory are created if missing. Raises TemporaryError after `timeout`
    seconds.

    The holder may remove the file and the directory; a waiting process then starts again with the new file.
    """
    deadline = time.monotonic() + timeout
    descriptor = _acquire(path, deadline)
    try:
        yield
    finally:
        os.close(descriptor)


def _acquire(path: Path, deadline: float) -> int:
    while True:
        make_traversable(path.parent)
        with disk_errors(path, "lock"), suppress(FileNotFoundError):
            descriptor = try_lock(path)
            if descriptor is not None:
                # The one before may have removed what it held, and another file is there now.
                if _is_at(path, descriptor):
                    return descriptor
                os.close(descriptor)
        if time.monotonic() >= deadline:
            raise TemporaryError(f"cannot lock {path}: another process holds it; find it with: fuser {path}")
        time.sleep(LOCK_PAUSE)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
