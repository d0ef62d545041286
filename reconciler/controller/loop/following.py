"""Syncs sources to the stored objects, at start and whenever a source may have changed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler.api import TemporaryError, VaultError
from reconciler.api.kinds import Ref
from reconciler.controller.loop.sync import MAX_PRUNE, sync
from reconciler.sources.base import Source
from reconciler.store.base import Objects

RETRY_SECONDS: Final = 2.0
"""Seconds until a failed write is tried again."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceOptions:
    """The sources of one controller, and how many services that vanish from them may be deleted at once; see sync."""

    sources: Sequence[Source] = ()
    max_prune: int = MAX_PRUNE
    allow_empty: bool = False


class SourceFollower:
    """Keeps the stored objects equal to the sources; calls `wake` with those that are due for a pass."""

    def __init__(
        self,
        following: SourceOptions,
        objects: Objects,
        wake: Callable[[Collection[Ref]], object],
        now: Callable[[], datetime],
        stop: threading.Event,
    ) -> None:
        self._following = following
        self._objects = objects
        self._wake = wake
        self._now = now
        self._stop = stop
        self._looking = threading.Lock()
        self._loaded = threading.Event()

    @property
    def sources(self) -> Sequence[Source]:
        """The followed sources."""
        return self._following.sources

    @property
    def is_loaded(self) -> bool:
        """Whether a source was read, or none is followed."""
        return not self.sources or self._loaded.is_set()

    def follow(self, source: Source) -> None:
        """Sync a source whenever it may have changed, until the controller stops."""
        self._sync(source)
        for _ in source.watch(self._stop):
            self._sync(source)

    def look_again(self) -> None:
        """Sync all sources once, because objects were changed in another way."""
        for source in self.sources:
            self._look(source)

    def _sync(self, source: Source) -> None:
        """One sync; failed writes are tried again until they succeed, since the source may not change again."""
        while not self._stop.is_set():
            if not any(isinstance(error, TemporaryError) for error in self._look(source)):
                return
            self._stop.wait(RETRY_SECONDS)

    def _look(self, source: Source) -> tuple[VaultError, ...]:
        try:
            with self._looking:
                done = sync(
                    source.load(),
                    self._objects,
                    source,
                    self._now(),
                    rivals=self.sources,
                    max_prune=self._following.max_prune,
                    allow_empty=self._following.allow_empty,
                )
        except VaultError as error:
            _log.error("%s %s: %s", source.kind, source.place, error)
            return (error,)
        self._wake(done.due)
        self._loaded.set()
        return tuple(done.failures.values())
