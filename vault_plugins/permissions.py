"""Checks whether other users of the machine can change a plugin, which runs with the controller's privileges."""

from collections.abc import Iterator
from pathlib import Path
from stat import S_ISVTX, S_IWOTH
from typing import Final

MAX_FILES: Final = 1000
"""Maximum number of files that are checked; a plugin has fewer."""


def open_to_others(directory: Path) -> str | None:
    """A warning if every user may write to the plugin, its search path or a parent directory; else None."""
    for path in _files(directory):
        if _mode(path) & S_IWOTH:
            return _sentence(path)
    if _mode(directory.parent) & S_IWOTH:
        return _sentence(directory.parent)
    for path in directory.parent.parents:
        # In a sticky directory, users cannot rename the files of other users.
        if _mode(path) & S_IWOTH and not _mode(path) & S_ISVTX:
            return _sentence(path)
    return None


def _files(directory: Path) -> Iterator[Path]:
    yield directory
    for count, path in enumerate(directory.rglob("*")):
        if count >= MAX_FILES:
            return
        if not path.is_symlink():
            yield path


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _sentence(path: Path) -> str:
    return f"every user of this machine may write to {path}, and so run code as the controller: chmod -R o-w {path}"
