"""inotify(7) on some directories: what a watcher of files is told, and how long it waits without being told.

Events only say when to look, so that a missed one costs seconds and no change.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, closing, nullcontext
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Final

__all__ = ["Kernel", "kernel_of", "wait"]

POLL: Final = 1.0
WATCHED_POLL: Final = 2.0
"""Seconds between comparisons without an event, without and with inotify, which does not report everything, such as a
missing directory.
"""

QUIET: Final = 0.03
DEBOUNCE: Final = 0.1
"""A save is often several events: wait until QUIET seconds pass without one, but not much longer than DEBOUNCE."""

CHANGES: Final = (
    "CREATE", "MODIFY", "CLOSE_WRITE", "ATTRIB", "DELETE", "MOVED_FROM", "MOVED_TO", "DELETE_SELF", "MOVE_SELF",
)  # fmt: skip
"""The events that can change a file."""

log = logging.getLogger(__name__)


class Kernel:
    """inotify(7) events of these directories. Raises OSError if they cannot be watched."""

    def __init__(self, directories: Iterable[Path]) -> None:
        # Imported here because the import takes longer than some commands.
        from inotify_simple import INotify, flags

        mask = reduce(or_, (flags[name] for name in CHANGES))
        self._inotify = INotify()
        try:
            # Not recursive: settings may be in a directory such as /etc, and hidden directories can be huge.
            self._directories = {self._inotify.add_watch(each, mask): each for each in directories}
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Be told no more."""
        self._inotify.close()

    def changes(self) -> Collection[Path]:
        """The paths of the next events; none after WATCHED_POLL seconds without an event."""
        changes: set[Path] = set()
        patience, deadline = WATCHED_POLL, time.monotonic() + WATCHED_POLL + DEBOUNCE
        while events := list(self._inotify.read(timeout=int(patience * 1000))):
            if not changes:
                patience, deadline = QUIET, time.monotonic() + DEBOUNCE
            # A queue overflow has no directory, but is an event too.
            changes |= {self._directories.get(event.wd, Path()) / event.name for event in events}
            if time.monotonic() > deadline:
                break
        return changes


def kernel_of(directories: Collection[Path]) -> AbstractContextManager[Kernel | None]:
    """The events of these directories while a block lasts; None where the kernel gives no watch."""
    try:
        return closing(Kernel(directories)) if directories else nullcontext()
    except OSError as error:
        # A directory was just removed, or no inotify watches are left: polling every POLL seconds still works.
        log.info("polling for changes every %g s because inotify does not work: %s", POLL, error)
        return nullcontext()


def wait(kernel: Kernel | None, stop: threading.Event) -> Collection[Path]:
    """The paths of the next events, none when it is time to look without any."""
    if kernel is None:
        stop.wait(POLL)
        return ()
    return kernel.changes()
