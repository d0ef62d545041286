"""Waits until a file of an object has changed, so that a command that waits does not poll."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.api.kinds import KINDS
from reconciler.store.layout import names_in, objects_of

if TYPE_CHECKING:
    from inotify_simple import INotify

__all__ = ["Changes", "watching"]

LONGEST_SECONDS: Final = 5.0
"""Longest wait without an event: file systems of other machines send none."""
BLIND_SECONDS: Final = 0.5
"""The same where the kernel gives no watch, for example because the user has too many."""
JOIN_MS: Final = 20
"""Changes within this many milliseconds end one wait."""


class Changes:
    """Changes of the objects and statuses below a state directory since the last wait."""

    def __init__(self, state_dir: Path, kernel: INotify | None) -> None:
        self._state = state_dir
        self._kernel = kernel
        self._watch()

    def wait(self, seconds: float) -> None:
        """Return after a change, at the latest after `seconds`, or earlier."""
        if self._kernel is None:
            time.sleep(max(0.0, min(seconds, BLIND_SECONDS)))
            return
        self._kernel.read(timeout=int(1000 * max(0.0, min(seconds, LONGEST_SECONDS))), read_delay=JOIN_MS)
        # Before the caller looks: what is written after its look causes an event.
        self._watch()

    def _watch(self) -> None:
        if self._kernel is None:
            return
        from inotify_simple import flags

        told = flags.CREATE | flags.MOVED_TO | flags.CLOSE_WRITE | flags.DELETE | flags.ATTRIB
        for directory in self._directories():
            # It may be removed meanwhile; a second watch of one directory is the first one.
            with suppress(OSError):
                self._kernel.add_watch(directory, told)

    def _directories(self) -> Iterator[Path]:
        yield self._state
        for kind in KINDS.values():
            objects = objects_of(self._state, kind)
            yield objects
            yield from (objects / name for name in names_in(objects))


@contextmanager
def watching(state_dir: Path) -> Iterator[Changes]:
    """The changes from now on."""
    # Late: most commands do not wait.
    from inotify_simple import INotify

    try:
        kernel = INotify()
    except OSError:
        yield Changes(state_dir, None)
        return
    with kernel:
        yield Changes(state_dir, kernel)
