"""Inspects what the engine would mount for a path of this host: link targets, file type, and mounts below it.

Admission uses it. The kernel follows links, so the inspection ends at a component that is missing or not accessible for
this process: in a container, or at another user's directory with mode 0700, the controller cannot know what the engine
would mount.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final

from reconciler.core.admission.roots import Kind, Seen, is_below, normal

MOUNTS: Final = Path("/proc/self/mountinfo")

Place = tuple[str, str]
"""A file system, and a path in it."""


def look(path: str) -> Seen:
    """The state of an absolute path of this host."""
    try:
        real = os.path.realpath(path, strict=True)
        mode = Path(real).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return Seen(normal(path), Kind.MISSING)
    except (OSError, ValueError):
        return Seen(normal(path), Kind.HIDDEN)
    kind = Kind.DIRECTORY if S_ISDIR(mode) else Kind.FILE if S_ISREG(mode) else Kind.SPECIAL
    return Seen(real, kind, origins(real, _mountinfo()))


def origins(real: str, mountinfo: str) -> tuple[Place, ...]:
    """The origins that a mount of this path exposes: its own first, then those mounted below it."""
    mounts = _read(mountinfo)
    around = [mount for mount in mounts if is_below(real, mount[0])]
    # A later line lies over an earlier one of the same place.
    own = [_within(real, *max(reversed(around), key=lambda mount: len(mount[0])))] if around else []
    below = [(system, root) for point, system, root in mounts if point != real and is_below(point, real)]
    return (*own, *below)


def _within(real: str, point: str, system: str, root: str) -> Place:
    return system, normal(f"{root}/{real.removeprefix(point)}")


def _mountinfo() -> str:
    try:
        return MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


@lru_cache(maxsize=4)
def _read(mountinfo: str) -> tuple[tuple[str, str, str], ...]:
    """Mount point, file system and the path in it that is mounted there, of each line."""
    fields = (line.split(" ") for line in mountinfo.splitlines())
    return tuple((_plain(f[4]), f[2], _plain(f[3])) for f in fields if len(f) > 4)


def _plain(field: str) -> str:
    # The kernel writes space, tab, line break and backslash as three octal digits.
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
