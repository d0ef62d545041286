"""List and watch: a list is valid until an event, a call of the controller, or a cut stream invalidates it.

So an idle pass makes no request to the engine, and a busy one makes one. Events never change a list: they only invalidate
it, so that a lost, duplicate or late event causes delay but no wrong state.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from time import monotonic
from typing import Any, Final

from reconciler.core.assess.observation import EngineObservation
from reconciler.core.desired.stack import Stack
from reconciler.engines.base import EngineEvent
from reconciler.engines.compose.events import Stream
from reconciler.engines.compose.rows import service_of_event

TRUST_SECONDS: Final = 30.0
"""Maximum age of a list, in case of lost events."""


class Informer:
    """The last list of each VaultService. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._watching = False
        self._changes: Counter[str] = Counter()
        self._known: dict[str, tuple[Stack, int, float, EngineObservation]] = {}
        self._started: dict[str, datetime] = {}
        self._asked: set[str] = set()
        self.images = 0
        """Incremented by every change that may affect the image that a tag means."""

    def follow(self, events: Iterable[Mapping[str, Any] | Stream]) -> Iterator[EngineEvent]:
        """Process the stream and yield the events of VaultServices; an empty event when some may have been missed."""
        for event in events:
            if isinstance(event, Stream):
                self._reset(watching=event is Stream.OPENED)
                if event is Stream.OPENED:
                    yield EngineEvent("")
            elif event.get("Type") == "image":
                name = str(((event.get("Actor") or {}).get("Attributes") or {}).get("name", ""))
                yield from map(EngineEvent, self._image_changed(name))
            elif service := service_of_event(event):
                self._learn(service, event)
                yield EngineEvent(service)

    def observe(self, stack: Stack, look: Callable[[Stack], EngineObservation]) -> EngineObservation:
        """The last list of this stack if it is still valid, else a new `look`."""
        with self._lock:
            change = self._changes[stack.label]
            known = self._known.get(stack.label)
        if known is not None:
            seen_for, seen_change, seen_at, observed = known
            # A service of many replicas compares its stack in microseconds; a list of it takes milliseconds.
            fresh = seen_change == change and self._clock() - seen_at < TRUST_SECONDS and seen_for == stack
            if fresh and self._watching:
                return observed
        observed = look(stack)
        # There are no events for a pulled image or a freed port.
        if not observed.missing_images and not observed.taken_ports:
            with self._lock:
                self._known[stack.label] = (stack, change, self._clock(), observed)
        return observed

    def started(self, container: str, inspect: Callable[[str], datetime | None]) -> datetime | None:
        """When a container started; requested once, and again after a restart."""
        with self._lock:
            known = self._started.get(container)
        if known is not None and self._watching:
            return known
        found = inspect(container)
        if found is not None:
            with self._lock:
                self._started[container] = found
        return found

    def asked(self, image: str) -> None:
        """A stack is made from what this name means, and does not have the name: tell all of its changes."""
        with self._lock:
            self._asked.add(image)

    def changed(self, *containers: str, service: str = "") -> None:
        """Invalidate a service or some containers, before and after changing them."""
        with self._lock:
            for name, (_, _, _, observed) in self._known.items():
                if name == service or any(c.id in containers for c in observed.containers):
                    self._changes[name] += 1
            if service:
                self._changes[service] += 1

    def _learn(self, service: str, event: Mapping[str, Any]) -> None:
        with self._lock:
            self._changes[service] += 1
            if event.get("Action") == "start":
                self._started.pop((event.get("Actor") or {}).get("ID", ""), None)

    def _image_changed(self, image: str) -> list[str]:
        """The services that may use it, "" for all; of an image that lost its tag the name is told no longer."""
        with self._lock:
            self.images += 1
            if any(_means(name, image) for name in self._asked):
                return [""]
            names = [name for name, (stack, *_) in self._known.items() if _uses(stack, image)]
            for name in names:
                self._changes[name] += 1
        return names

    def _reset(self, *, watching: bool) -> None:
        with self._lock:
            self._watching = watching
            self.images += 1
            self._known.clear()
            self._started.clear()


def _uses(stack: Stack, image: str) -> bool:
    is_named = image and not image.startswith("sha256:")
    return not is_named or any(_means(w.image, image) for w in stack.workloads)


def _means(name: str, image: str) -> bool:
    """Whether an image is meant that an event calls so."""
    return image in (name, f"{name}:latest")
