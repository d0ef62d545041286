"""What wakes the loop. A trigger carries a name at most, never what happened: whoever is woken looks for itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from reconciler.engines.base import Engine
from reconciler.proxy.base import Proxy
from reconciler.store.base import BELL

DEBOUNCE_MS: Final = 100
STEP_MS: Final = 50
"""The library wakes so often to look for what inotify has told it: a shorter step is paid for at rest."""
SETTLED_SECONDS: Final = 1.0
"""When a watch that was asked for is surely set up."""

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


def watch_proxy(proxy: Proxy, wake: Callable[[str], object], stop: threading.Event) -> None:
    """Wake the service whose server has gone UP or DOWN."""
    for name in proxy.events():
        if stop.is_set():
            return
        wake(name)


def watch_objects(services: Path, wake_all: Callable[[], object], stop: threading.Event) -> None:
    """Wake everything when another process wrote an object, for example `vaultctl apply`."""
    from watchfiles import watch

    services.mkdir(parents=True, exist_ok=True)
    # What was written while the watch was being set up rang for nobody.
    first = threading.Timer(SETTLED_SECONDS, wake_all)
    first.daemon = True
    first.start()
    for changes in watch(
        services, recursive=False, debounce=DEBOUNCE_MS, step=STEP_MS, stop_event=stop, raise_interrupt=False
    ):
        if any(Path(path).name == BELL for _, path in changes):
            wake_all()


def resync(wake_all: Callable[[], object], interval: float, stop: threading.Event) -> None:
    """Wake everything every `interval` seconds: the net under all other triggers."""
    while not stop.wait(interval):
        wake_all()
