"""The triggers of the loop. A trigger passes at most a name, and never what happened: the pass observes for itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from reconciler.engines.base import Engine
from reconciler.proxy.base import Proxy
from reconciler.store.base import BELL, STATE_MODE

DEBOUNCE_MS: Final = 50
"""Writes within this many milliseconds cause one pass."""
PLUGIN_LOOK_SECONDS: Final = 2.0
"""How soon a changed plugin is noticed."""
RESYNC_PASSES: Final = 12
"""Most passes that a resync makes in its interval: one takes some 20 ms of a processor that has done other things since."""
FILES_LOOK: Final = 10
"""After so many looks without an event, files are read in any case."""
STOP_LOOK_MS: Final = 1000
"""How soon a watch sees the stop request."""

_log = logging.getLogger(__name__)


def watch_engine(
    engine: Engine, wake: Callable[[str], object], wake_all: Callable[[], object], stop: threading.Event
) -> None:
    """Wake the object of each engine event, and all of them when events may have been missed."""
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
    # Late: it takes longer to import than some commands take to run.
    from inotify_simple import INotify, flags

    services.mkdir(mode=STATE_MODE, parents=True, exist_ok=True)
    with INotify() as kernel:
        kernel.add_watch(services, flags.CREATE | flags.ATTRIB | flags.CLOSE_WRITE)
        # Writes before the watch existed caused no event.
        wake_all()
        while not stop.is_set():
            events = kernel.read(timeout=STOP_LOOK_MS, read_delay=DEBOUNCE_MS)
            if any(event.name == BELL for event in events):
                wake_all()


def watch_files(
    directories: Callable[[], Sequence[Path]], changed: Callable[[], object], stop: threading.Event
) -> None:
    """Call `changed` when files of these directories were replaced, made or removed, and now and then in any case: the
    kernel tells nothing of a directory that has just been made.
    """
    from inotify_simple import INotify, flags

    quiet = 0
    with INotify() as kernel:
        while not stop.is_set():
            for each in directories():
                with suppress(OSError):
                    kernel.add_watch(each, flags.CREATE | flags.DELETE | flags.MOVED_TO)
            events = kernel.read(timeout=STOP_LOOK_MS, read_delay=DEBOUNCE_MS)
            quiet = 0 if events else quiet + 1
            if events or quiet % FILES_LOOK == 0:
                changed()


def watch_plugins(look: Callable[[], object], wake_all: Callable[[], object], stop: threading.Event) -> None:
    """Wake everything when a plugin's files have changed, which changes the result of `look`."""
    before = look()
    while not stop.wait(PLUGIN_LOOK_SECONDS):
        now = look()
        if now != before:
            before = now
            wake_all()


def resync_each(
    names: Callable[[], Sequence[str]],
    wake: Callable[[str], object],
    interval: float,
    stop: threading.Event,
) -> None:
    """Wake each object every `interval` seconds, evenly spread: the fallback for all other triggers.

    There are at most RESYNC_PASSES in an interval. With more objects a round takes longer, so that the cost of a controller
    at rest does not grow with them.
    """
    last = ""
    while True:
        present = sorted(names())
        if stop.wait(interval / min(max(1, len(present)), RESYNC_PASSES)):
            return
        if present:
            last = next((name for name in present if name > last), present[0])
            wake(last)


def resync(wake_all: Callable[[], object], interval: float, stop: threading.Event) -> None:
    """Wake everything every `interval` seconds, for a wait that is soon over."""
    while not stop.wait(interval):
        wake_all()
