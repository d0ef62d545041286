"""Which applications a run of whole directories has: three, other ones each day, and those that were changed lately."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

EACH_DAY: Final = 2
MOST: Final = 3
"""A change of all of them is tried by `make catalogue`: CI has half an hour."""
LATELY_SECONDS: Final = 24 * 3600
GIT_SECONDS: Final = 30


def in_turn(slugs: Sequence[str], turn: int, changed: Collection[str] = ()) -> list[str]:
    """Those of a run, at most MOST: first those of the turn, then the changed ones. `turn` counts days."""
    first = turn * EACH_DAY % max(1, len(slugs))
    rotated = [*slugs[first:], *slugs[:first]]
    rest = [slug for slug in rotated[EACH_DAY:] if slug in changed]
    return [*rotated[:EACH_DAY], *rest][:MOST]


def changed_lately(root: Path) -> set[str]:
    """The applications whose files were changed by commits of the last day before the newest one, or are not committed;
    none outside of a Git repository.
    """
    try:
        newest = int(_git(root, "log", "-1", "--format=%ct"))
        names = _git(root, "log", f"--since={newest - LATELY_SECONDS}", "--name-only", "--format=")
        names += _git(root, "status", "--porcelain", "--untracked-files=all", "--no-renames")
    except (OSError, subprocess.SubprocessError, ValueError):
        return set()
    return set(filter(None, map(_slug, names.splitlines())))


def _slug(line: str) -> str:
    """The application that a file belongs to: vault_plugins/SLUG/… or tests/catalogue/SLUG/…"""
    match PurePosixPath(line.split()[-1] if line.split() else "").parts:
        case ("vault_plugins", directory, _, *_) | ("tests", "catalogue", directory, _, *_):
            return directory.replace("_", "-")
    return ""


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=GIT_SECONDS, check=True
    ).stdout
