"""What wakes the loop. A trigger carries a name at most, never what happened: whoever is woken looks for itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from reconciler.engines.base import Engine

OBJECT_FILE: Final = "object.json"
DEBOUNCE_MS: Final = 20
STEP_MS: Final = 10

_log = logging.getLogger(__name__)


def watch_engine(
    engine: Engine, wake: Callable[[str], object], wake_all: Callable[[], object], stop: threading.Event
) -> None:
    """Wake the service of each engine event, and all of them when events may have been missed."""
    for event in engine.events():
        if stop.is_set():
            return
        if event.service:
            wake(event.service)
        else:
            wake_all()


def watch_objects(services: Path, wake: Callable[[str], object], stop: threading.Event) -> None:
    """Wake a service whose object another process wrote, for example `vaultctl apply`."""
    for name in _changed_objects(services, stop):
        wake(name)


def _changed_objects(services: Path, stop: threading.Event) -> Iterator[str]:
    from watchfiles import watch

    services.mkdir(parents=True, exist_ok=True)
    for changes in watch(
        services, debounce=DEBOUNCE_MS, step=STEP_MS, stop_event=stop, raise_interrupt=False
    ):
        yield from {Path(path).parent.name for _, path in changes if Path(path).name == OBJECT_FILE}


def resync(wake_all: Callable[[], object], interval: float, stop: threading.Event) -> None:
    """Wake everything every `interval` seconds: the net under all other triggers."""
    while not stop.wait(interval):
        wake_all()
