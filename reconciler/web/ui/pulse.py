"""Counts changes of services, so that an open page is sent only what has changed since its last look.

Changes come from the journal of the store and from the passes of the controller; a page that is slow joins several of them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from reconciler.app.cluster.events import KIND as EVENT

if TYPE_CHECKING:
    from reconciler.store.versions import Document, Versions

__all__ = ["Pulse"]


class Pulse:
    """The last change of each service. Threads may share it."""

    def __init__(self, kind: str, ring: Callable[[], None]) -> None:
        """`kind` is the name of the kind in the journal; `ring` wakes the open pages and must return at once."""
        self._kind = kind
        self._ring = ring
        self._lock = threading.Lock()
        # Numbers of a former controller are less, whatever it has counted.
        self._begun = self.number = time.time_ns() // 1000
        self._changed: dict[str, int] = {}

    def touch(self, name: str) -> None:
        """A service has changed."""
        self._touch([name])

    def since(self, number: int) -> tuple[int, tuple[str, ...] | None]:
        """The present number, and the services that have changed after `number`; None when that is not known."""
        with self._lock:
            if not self._begun <= number <= self.number:
                return self.number, None
            names = sorted(name for name, last in self._changed.items() if last > number)
            return self.number, tuple(names)

    def follow(self, versions: Versions) -> Callable[[], None]:
        """Count the changes of a journal, until the function that is returned is called."""
        at = [versions.number]

        def heard() -> None:
            with self._lock:
                changes = versions.since(at[0], 10_000)
                at[0] = versions.number if not changes else changes[-1].number
            if changes is None:
                self._touch(versions.names(self._kind))
            elif names := {name for each in changes if (name := self._subject(each.document))}:
                self._touch(names)

        versions.tell(heard)
        return lambda: versions.silence(heard)

    def _subject(self, document: Document) -> str:
        """The service that a document is about; "" if it is about another thing."""
        if document.kind == self._kind:
            return document.name
        if document.kind != EVENT:
            return ""
        about = json.loads(document.text)["involvedObject"]
        return str(about["name"]) if about.get("kind") == self._kind else ""

    def _touch(self, names: Iterable[str]) -> None:
        with self._lock:
            for name in names:
                self.number += 1
                self._changed[name] = self.number
        self._ring()
