"""Is a directory that is there already ours alone?

What lies in the state directory decides what runs, with the rights of the engine's socket. A directory that another user
owns, or may write to, can hold what that user has put there, and its mode says nothing about what was put there before.
"""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler.api import PermanentError

__all__ = ["Foreign", "foreign", "require_ours"]


@dataclass(frozen=True, slots=True)
class Foreign:
    """Why a directory is not ours alone, and what to do about it."""

    problem: str
    way_out: str


def require_ours(directory: Path) -> None:
    """Raise PermanentError for a directory that another user controls; one that is not there will be ours."""
    if found := foreign(directory):
        raise PermanentError(f"{found.problem}; {found.way_out}, or choose another place with --state-dir")


def foreign(directory: Path) -> Foreign | None:
    """What makes it another user's; None when nothing does, or when it cannot be looked at.

    Root may do everything anyway, and in a user namespace (rootless engines) the user who started it is root.
    """
    try:
        status = directory.stat()
    except OSError:
        return None
    if status.st_uid not in (0, os.geteuid()):
        return Foreign(
            f"{directory} belongs to {_name(status.st_uid)}, who so decides what runs here",
            f"run it as that user, or give it away with all that is in it: chown -R {os.geteuid()} {directory}",
        )
    writers = {stat.S_IWGRP: f"group {status.st_gid}", stat.S_IWOTH: "every user of this machine"}
    if can := [who for bit, who in writers.items() if status.st_mode & bit]:
        return Foreign(
            f"{' and '.join(can)} can write into {directory}, and so decide what runs here",
            f"see that nothing strange is in it, then run: chmod go-w {directory}",
        )
    return None


def _name(uid: int) -> str:
    with suppress(KeyError):
        return f"user {pwd.getpwuid(uid).pw_name} ({uid})"
    return f"user {uid}"
