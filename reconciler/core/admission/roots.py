"""Which paths of the host a container may mount: roots that the operator names, and the state of a path on the host.

Inspecting the host is I/O, so it is passed in as a function; this module defines its results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What lies at a path. MISSING: nothing does. HIDDEN: a component cannot be looked at."""

    DIRECTORY = "directory"
    FILE = "file"
    SPECIAL = "special"
    MISSING = "missing"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Seen:
    """The state of a path on the host.

    `real` is where all its links lead. `origins` are the places that a mount of it would show, as pairs of file system
    and path in it: its own, and those that are mounted below it. Bind mounts of one place share an origin.
    """

    real: str
    kind: Kind
    origins: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HostRoot:
    """A directory, or a file, that containers may mount, and whether they may write to it."""

    path: str
    writable: bool = True


HOST_ROOTS: Final = tuple(map(HostRoot, ("/data", "/media", "/mnt", "/srv")))
"""The default roots: directories that are made for data."""

READABLE: Final = tuple(
    HostRoot(path, writable=False)
    for path in (
        "/etc/localtime", "/etc/timezone", "/etc/ssl/certs", "/usr/share/ca-certificates",
        "/usr/local/share/ca-certificates", "/usr/share/zoneinfo",
    )
)  # fmt: skip
"""Harmless parts of the system that containers often need."""

NEVER: Final = ("/dev", "/proc", "/run", "/sys", "/var/run")
"""What no root opens: sockets of the host's services, devices, and the kernel."""


def unseen_host(path: str) -> Seen:
    """A host that cannot be inspected: every path is a directory without links."""
    return Seen(normal(path), Kind.DIRECTORY)


def normal(path: str) -> str:
    """The path without `.`, `..` and doubled slashes, read as text: a `..` after a link is not followed."""
    # POSIX lets a path keep two leading slashes; the kernel does not.
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def is_below(path: str, root: str) -> bool:
    """Whether a normal path is `root` or lies in it."""
    return path == root or path.startswith(f"{root.rstrip('/')}/")


def overlaps(path: str, other: str) -> bool:
    """Whether one of two normal paths lies in the other."""
    return is_below(path, other) or is_below(other, path)


def ancestors(path: str) -> Iterator[str]:
    """The directories around a normal path, without itself, innermost first."""
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path
