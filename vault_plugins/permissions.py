"""Whether other users of the machine can change a plugin, which runs with all the rights of the controller."""

from collections.abc import Iterator
from pathlib import Path
from stat import S_ISVTX, S_IWOTH
from typing import Final

MAX_FILES: Final = 1000
"""Files of a plugin that are looked at; code has fewer."""


def open_to_others(directory: Path) -> str | None:
    """A sentence about what every user may write to: the plugin, its search path, or a directory around; or None."""
    for path in _files(directory):
        if _mode(path) & S_IWOTH:
            return _sentence(path)
    if _mode(directory.parent) & S_IWOTH:
        return _sentence(directory.parent)
    for path in directory.parent.parents:
        # In a sticky directory a user cannot rename the files of another one.
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
