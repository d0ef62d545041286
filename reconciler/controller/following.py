"""Brings what sources hold into the objects, now and whenever it may have changed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from reconciler.api import TemporaryError, VaultError
from reconciler.controller.sync import MAX_PRUNE, sync
from reconciler.sources.base import Source
from reconciler.store.base import Objects

RETRY_SECONDS: Final = 2.0
"""Seconds until what the disk refused is tried again."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Following:
    """The sources of one controller, and how much of what vanishes from them may be deleted at once; see sync."""

    sources: Sequence[Source] = ()
    max_prune: int = MAX_PRUNE
    allow_empty: bool = False
    loaded: threading.Event = field(default_factory=threading.Event)

    def follow(
        self,
        source: Source,
        objects: Objects,
        wake: Callable[[str], object],
        now: Callable[[], datetime],
        stop: threading.Event,
    ) -> None:
        """Sync a source whenever it may have changed, until `stop` is set."""
        self._sync(source, objects, wake, now, stop)
        for _ in source.watch(stop):
            self._sync(source, objects, wake, now, stop)

    def _sync(
        self,
        source: Source,
        objects: Objects,
        wake: Callable[[str], object],
        now: Callable[[], datetime],
        stop: threading.Event,
    ) -> None:
        """One look; what could not be stored is tried again until it is, since the source may not change again."""
        while not stop.is_set():
            try:
                done = sync(
                    source.load(),
                    objects,
                    source,
                    now(),
                    rivals=self.sources,
                    max_prune=self.max_prune,
                    allow_empty=self.allow_empty,
                )
            except VaultError as error:
                _log.error("%s %s: %s", source.kind, source.place, error)
                failures: tuple[VaultError, ...] = (error,)
            else:
                failures = tuple(done.failures.values())
                for name in done.names:
                    wake(name)
                self.loaded.set()
            if not any(isinstance(error, TemporaryError) for error in failures):
                return
            stop.wait(RETRY_SECONDS)
