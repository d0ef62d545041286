"""Accesses files in a directory by its descriptor, so that no link can lead out of it.

A compromised HAProxy can create any file in a directory that it may write to. Files are opened by name in that one
directory and must be regular files and no links; no call blocks on a FIFO or reads a device.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from reconciler.core.desired.stack import Site

__all__ = [
    "DIRECTORY_MODE",
    "FILE_MODE",
    "SECRET_MODE",
    "SHARED_MODE",
    "give",
    "make_directory",
    "opened",
    "opened_below",
    "read_file",
    "remove",
    "replace_below",
    "replace_file",
]

FILE_MODE: Final = 0o640
DIRECTORY_MODE: Final = 0o750
SECRET_MODE: Final = 0o600
SHARED_MODE: Final = 0o770
"""Mode of a directory in which HAProxy's group creates files."""
CHUNK: Final = 1 << 16
"""Bytes of a file that are read at once."""

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """The descriptor of a directory that is no link, open in the block. Raises OSError."""
    descriptor = os.open(path, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_below(directory: int, name: str) -> Iterator[int]:
    """The same, for a subdirectory."""
    descriptor = os.open(name, _DIRECTORY, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make_directory(path: Path, site: Site, mode: int = DIRECTORY_MODE) -> None:
    """Create this directory if it is missing, owned by HAProxy's user and closed to others. Raises OSError for a link."""
    path.mkdir(parents=True, exist_ok=True)
    with opened(path) as descriptor:
        os.fchmod(descriptor, mode)
        give(descriptor, site)


def read_file(directory: int, name: str, limit: int) -> str | None:
    """The first `limit` bytes of a regular file as text; None for any other file type, a link or a missing file."""
    try:
        # O_NONBLOCK: to open a FIFO would wait for a writer.
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory
        )
    except FileNotFoundError:
        return None
    except OSError:
        if _is_regular(directory, name):
            raise
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        # A gateway has hundreds of small files: a file object takes longer than to read one.
        content = b""
        while part := os.read(descriptor, min(limit - len(content), CHUNK)):
            content += part
    finally:
        os.close(descriptor)
    return content.decode(errors="replace")


def replace_file(directory: int, name: str, content: bytes, site: Site, mode: int = FILE_MODE) -> None:
    """Replace a file atomically, owned by HAProxy's user; an existing file is replaced, not written to."""
    temporary = f".{name}.new"
    remove(directory, temporary)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
            give(descriptor, site)
            os.fsync(descriptor)
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        remove(directory, temporary)
        raise
    # The rename itself reaches the disk with its directory.
    os.fsync(directory)


def replace_below(
    directory: int, name: str, content: bytes, site: Site, *, owner: Site | None = None, mode: int = FILE_MODE
) -> None:
    """Replace a file that may be in a directory below this one. That belongs to `site`, and the file to `owner`, or else to
    `site` as well. Raises OSError.
    """
    below, _, last = name.rpartition("/")
    if not below:
        replace_file(directory, last, content, owner or site, mode)
        return
    with suppress(FileExistsError):
        os.mkdir(below, DIRECTORY_MODE, dir_fd=directory)
    with opened_below(directory, below) as inner:
        os.fchmod(inner, DIRECTORY_MODE)
        give(inner, site)
        replace_file(inner, last, content, owner or site, mode)


def remove(directory: int, name: str) -> None:
    """Remove a name that is no directory, if it exists. The target of a link stays."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def give(descriptor: int, site: Site) -> None:
    """Make HAProxy's user the owner of an open file, if permitted."""
    if os.geteuid() == 0:
        os.fchown(descriptor, site.uid, site.gid)


def _is_regular(directory: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode)
    except OSError:
        return False
