"""What the HAProxies of an agent say of their servers, until the loop asks for it; the oldest lines are dropped first."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import Final

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.events import ServerEvents
from reconciler.proxy.remote.calls import EVENT_BYTES, MAX_EVENTS
from reconciler.proxy.remote.values import SiteKey

__all__ = ["SiteEvents"]

_SEPARATOR: Final = "\0"


class SiteEvents:
    """The lines of all sites. Any thread may ask; one of its own reads, from `start` on."""

    def __init__(self) -> None:
        self._heard: deque[tuple[SiteKey, str]] = deque(maxlen=MAX_EVENTS)
        self._changed = threading.Condition()
        self._events = ServerEvents()
        self._lines = self._events.follow()

    def start(self) -> None:
        """Read until the process ends."""
        threading.Thread(target=self._read, name="events", daemon=True).start()

    def listen(self, key: SiteKey, site: Site) -> None:
        """Listen to the HAProxies of a site from now on; without that, a change is seen by the next pass."""
        prefix = f"{key.model_dump_json()}{_SEPARATOR}"
        with suppress(OSError):
            self._events.listen(lambda line: f"{prefix}{line.decode(errors='replace')}", site)

    def next(self, seconds: float) -> tuple[tuple[SiteKey, str], ...]:
        """The lines that were not told yet; waits for one, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._heard, max(0.0, seconds))
            told = tuple(self._heard)
            self._heard.clear()
        return told

    def _read(self) -> None:
        for said in self._lines:
            key, _, line = said.partition(_SEPARATOR)
            with self._changed:
                self._heard.append((SiteKey.model_validate_json(key), line[:EVENT_BYTES]))
                self._changed.notify_all()
