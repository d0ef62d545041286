"""Changes of instances and nodes: Swarm has no event of a task, so the list of them is compared with the one before.

The events of this node's engine come beside it: they tell of the front door, and at once of instances that are here.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from math import inf
from typing import Any, Final

from reconciler.api.errors import VaultError
from reconciler.core import labels
from reconciler.engines.base import EngineEvent
from reconciler.engines.errors import EngineError
from reconciler.engines.nodes import Node
from reconciler.engines.swarm.api import SwarmApi

__all__ = ["changed", "pause_after", "states", "watched"]

LOOK_SECONDS: Final = 1.0
HURRIED_SECONDS: Final = 0.2
HURRY_SECONDS: Final = 10.0
"""For how long looks are hurried after each change: what starts or ends has its next state soon."""
LOOK_SHARE: Final = 0.2
"""At most so much of the time is spent on looks: the list of ten thousand tasks takes longer than a second to read."""

_log = logging.getLogger(__name__)

States = Mapping[str, frozenset[tuple[str, ...]]]
"""By the label of an object, what is known of its tasks."""


def watched(events: Callable[[], Iterator[EngineEvent]], api: SwarmApi) -> Generator[EngineEvent, None, None]:
    """The `events` of the engine, one for each object whose tasks have changed, and one that may concern any of them when a
    node has changed. Without end.
    """
    found: queue.SimpleQueue[EngineEvent] = queue.SimpleQueue()
    over = threading.Event()

    def here() -> None:
        for event in events():
            found.put(event)
            if over.is_set():
                return

    threads = (here, lambda: _look(api, found, over))
    for each in threads:
        threading.Thread(target=each, name="swarm events", daemon=True).start()
    try:
        while True:
            yield found.get()
    finally:
        over.set()


def _look(api: SwarmApi, found: queue.SimpleQueue[EngineEvent], over: threading.Event) -> None:
    known: States | None = None
    nodes: Mapping[str, Node] = {}
    pause, changed_at = LOOK_SECONDS, -inf
    while not over.wait(pause):
        began = time.monotonic()
        try:
            seen, there = states(api.all_tasks()), api.nodes()
            if seen != known:
                changed_at = began
            pause = pause_after(time.monotonic() - began, began - changed_at)
        except VaultError as error:
            _log.debug("the list of tasks: %s", error)
            # What happens meanwhile is told by the difference to the next list.
            continue
        if known is not None:
            if there != nodes:
                # A gateway runs on the nodes with its labels, and any instance may have been on a node that is down.
                found.put(EngineEvent(""))
            for label in sorted(changed(known, seen)):
                found.put(EngineEvent(label))
        known, nodes = seen, there


def pause_after(seconds: float, calm: float) -> float:
    """The pause after a look that took so long, so many seconds after the last change."""
    least = LOOK_SECONDS if calm >= HURRY_SECONDS else HURRIED_SECONDS
    return max(least, seconds * (1 / LOOK_SHARE - 1))


def states(tasks: Any) -> States:
    """What a list of tasks says. Raises EngineError for what is none."""
    by_label: dict[str, set[tuple[str, ...]]] = {}
    try:
        for task in tasks:
            marks = ((task.get("Spec") or {}).get("ContainerSpec") or {}).get("Labels") or {}
            if label := marks.get(labels.SERVICE):
                said = (task["ID"], task["Status"]["State"], task["DesiredState"], task.get("NodeID") or "")
                by_label.setdefault(label, set()).add(said)
    except (AttributeError, LookupError, TypeError) as error:
        raise EngineError(f"a task of the Swarm was not understood: {error!r}") from error
    return {label: frozenset(said) for label, said in by_label.items()}


def changed(before: States, after: States) -> frozenset[str]:
    """The labels of the objects with tasks that are not as before."""
    return frozenset(each for each in before.keys() | after.keys() if before.get(each) != after.get(each))
