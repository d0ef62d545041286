"""Removes a directory, whatever a container has put into it.

A container that may write to a directory can nest thousands of directories, deeper than recursion or the file descriptors
of a process allow; its service could then never be deleted. So only two levels are open at a time: deeper directories are
moved up.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

__all__ = ["remove_tree"]

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: Path) -> None:
    """Remove a directory and its content. Links are not followed. Raises OSError."""
    top = os.open(path, _DIRECTORY)
    try:
        while names := [entry.name for entry in os.scandir(top)]:
            for name in names:
                _remove(top, name)
    finally:
        os.close(top)
    path.rmdir()


def _remove(top: int, name: str) -> None:
    """Remove an entry of `top`; its subdirectories are moved into `top`."""
    try:
        directory = os.open(name, _DIRECTORY, dir_fd=top)
    except OSError:
        # A file, a link or a socket; any other error is raised by this.
        os.unlink(name, dir_fd=top)
        return
    try:
        for inner in list(os.scandir(directory)):
            if inner.is_dir(follow_symlinks=False):
                os.rename(inner.name, secrets.token_hex(16), src_dir_fd=directory, dst_dir_fd=top)
            else:
                os.unlink(inner.name, dir_fd=directory)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=top)
