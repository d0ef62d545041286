"""Checks this machine: is there disk space, and does the state directory have the right owner and permissions?"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Final

from reconciler.api.kinds import KINDS
from reconciler.app.checkup.finding import Finding, fail, ok, warn
from reconciler.store.layout import objects_of
from reconciler.store.ours import foreign

__all__ = ["check_clock", "check_disk", "check_state_directory"]

GIB: Final = 1024**3
SCARCE_BYTES: Final = 2 * GIB
FULL_BYTES: Final = GIB // 4
MAX_CLOCK_STEP: Final = timedelta(seconds=5)


def check_disk(name: str, directory: Path) -> Iterator[Finding]:
    """The free disk space at `directory`, which may not exist yet."""
    place = _nearest_existing(directory)
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        yield warn(
            f"disk: {name}",
            f"{place} cannot be looked at: {error.strerror}",
            "run it as the controller's user",
        )
        return
    message = f"{free / GIB:.1f} GiB free for {directory}"
    if free < FULL_BYTES:
        yield fail(
            f"disk: {name}", message, "make room: docker system df shows what images and build caches take"
        )
    elif free < SCARCE_BYTES:
        yield warn(f"disk: {name}", message, "make room before the next image is pulled: docker system df")
    else:
        yield ok(f"disk: {name}", message)


def check_state_directory(directory: Path) -> Iterator[Finding]:
    """Whether only this user can write there, and containers of another user can reach their sockets."""
    name = "state directory"
    if not directory.exists():
        parent = _nearest_existing(directory)
        if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
            yield ok(name, f"{directory} does not exist yet and will be created")
        else:
            fix = f"run it as the owner of {parent}, or choose another place with --state-dir"
            yield fail(name, f"{directory} does not exist and cannot be created", fix)
        return
    if not directory.is_dir():
        yield fail(name, f"{directory} is not a directory", "choose another place with --state-dir")
        return
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        fix = "run it as the user of the controller, or choose another place with --state-dir"
        yield fail(name, f"{directory} cannot be written by this user", fix)
        return
    findings = [*_permissions(name, directory)]
    yield from findings or [ok(name, f"{directory} is writable by this user only")]


def check_revision_key(directory: Path, *, lost: bool) -> Iterator[Finding]:
    """Whether the key of revisions is there and no other user can read it."""
    name, path = "revision key", directory / "revision.key"
    if lost:
        message = f"{path} is gone: the next start of the controller replaces every container once"
        yield warn(name, message, "restore it from a backup before the controller is started")
    elif path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        message = f"other users can read {path}, and with it guess secrets from revisions"
        yield fail(name, message, f"chmod 600 {path}")
    else:
        yield ok(name, "is there" if path.exists() else "will be made by the first controller")


def _permissions(name: str, directory: Path) -> Iterator[Finding]:
    for each in (directory, *(objects_of(directory, kind) for kind in KINDS.values())):
        if found := foreign(each):
            yield fail(name, found.problem, found.way_out)
    if os.geteuid() == 0 and not directory.stat().st_mode & stat.S_IXOTH:
        message = f"HAProxy, which is not root, cannot pass through {directory} to its files"
        yield fail(name, message, f"chmod o+x {directory}")


def check_clock(state_directory: Path, now: datetime) -> Iterator[Finding]:
    """Whether the clock was set back behind the newest file: deadlines and back-offs would then take too long."""
    statuses = (objects_of(state_directory, kind).glob("*/status.json") for kind in KINDS.values())
    files = [*chain.from_iterable(statuses), *state_directory.glob("history.sqlite3")]
    newest = max((path.stat().st_mtime for path in files), default=None)
    if newest is not None and (ahead := datetime.fromtimestamp(newest, UTC) - now) > MAX_CLOCK_STEP:
        message = f"the clock is {ahead.total_seconds():.0f} s behind the newest file in {state_directory}"
        yield warn("clock", message, "set the clock, and keep it by NTP")
    else:
        yield ok("clock", f"{now:%Y-%m-%dT%H:%M:%SZ}, not behind what was written before")


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in [path, *path.parents] if os.access(candidate, os.F_OK))
