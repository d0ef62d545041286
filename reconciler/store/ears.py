"""Hears from the kernel what changes in directories, and sleeps meanwhile: an end from another thread wakes it too."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

__all__ = ["Ears"]

BLIND_SECONDS: Final = 0.5
"""Longest wait where the kernel gives no watch, for example because the user has too many."""
TOGETHER_MS: Final = 1
"""A writer names its object just before it rings."""


class Ears:
    """For one thread that listens, and others that may end it. A context manager of the one that listens."""

    def __init__(self) -> None:
        # Late: it takes longer to import than some commands take to run.
        from inotify_simple import INotify

        self._end = os.eventfd(0, os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._end, select.POLLIN)
        self.has_ended = False
        try:
            self._kernel = INotify()
        except OSError:
            self._kernel = None
        else:
            self._poll.register(self._kernel, select.POLLIN)

    def watch(self, directory: Path, mask: int) -> int | None:
        """Listen to a directory; its number in events, None if the kernel gives no watch."""
        if self._kernel is None:
            return None
        try:
            return int(self._kernel.add_watch(directory, mask))
        except OSError:
            self._deaf()
            return None

    def read(self, seconds: float) -> Sequence[Any] | None:
        """The events since the last call, at the latest after `seconds`; none at the end. None if the kernel tells nothing,
        so that everything may have changed.
        """
        if self._kernel is None:
            self.rest(min(seconds, BLIND_SECONDS))
            return None
        told = [descriptor for descriptor, _ in self._poll.poll(1000 * seconds)]
        if self._kernel.fileno() not in told:
            return ()
        found: Sequence[Any] = self._kernel.read(timeout=0, read_delay=TOGETHER_MS)
        return found

    def rest(self, seconds: float) -> None:
        """Hear nothing for so long, or until the end."""
        only = select.poll()
        only.register(self._end, select.POLLIN)
        only.poll(1000 * seconds)

    def end(self) -> None:
        """Wake the one that listens, for the last time. From any thread, before its block is left."""
        self.has_ended = True
        os.eventfd_write(self._end, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deaf()
        os.close(self._end)

    def _deaf(self) -> None:
        if self._kernel is not None:
            self._poll.unregister(self._kernel)
            self._kernel.close()
            self._kernel = None
