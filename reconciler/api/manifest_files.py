"""Finds the files of a directory that can hold manifests, for the reader and for the watcher."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.api.errors import ManifestError, Problem

__all__ = ["SUFFIXES", "Found", "find"]

SUFFIXES: Final = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Found:
    """The files, sorted; the directories that were listed; and problems with unreadable ones."""

    files: tuple[Path, ...]
    directories: tuple[Path, ...]
    problems: tuple[Problem, ...]


def find(directory: Path) -> Found:
    """All *.yaml and *.yml files below a directory, except hidden ones and those that .vaultignore names."""
    # Late: a command that is given a file does not need it.
    from reconciler.api import ignore_file

    files: list[Path] = []
    directories: list[Path] = []
    problems: list[Problem] = []

    def note(error: OSError) -> None:
        # An unreadable directory must not look like an empty one.
        place, reason = Path(error.filename or directory), os.strerror(error.errno or 0)
        advice = "check the path and its permissions"
        problems.append(Problem(place, 0, 0, "", f"cannot be listed: {reason}", advice))

    ignored = ignore_file.Ignored()
    try:
        ignored = ignore_file.read_ignored(directory)
    except ManifestError as error:
        problems += error.problems

    def wanted(here: Path, name: str, *, is_directory: bool) -> bool:
        if name.startswith(".") or not ignored.rules:
            return not name.startswith(".")
        return not ignored.holds((here / name).relative_to(directory), is_directory=is_directory)

    suffixes = tuple(SUFFIXES)
    # A controller compares its manifests each second, so a name becomes a path only when it has to.
    for parent, subdirectories, names in os.walk(directory, onerror=note):
        here = Path(parent)
        directories.append(here)
        subdirectories[:] = [name for name in subdirectories if wanted(here, name, is_directory=True)]
        candidates = (name for name in names if name.endswith(suffixes))
        files += [here / name for name in candidates if wanted(here, name, is_directory=False)]
    return Found(tuple(sorted(files)), tuple(directories), tuple(problems))
