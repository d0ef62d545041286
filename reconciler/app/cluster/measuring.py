"""What containers and the machine use, measured while a client asks: the metrics that `kubectl top` shows.

The engine counts seconds of CPU, so a rate needs two measurements; the former one is used again if it is not too old.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from reconciler.app.cluster.pods import node_metrics, pod_metrics
from reconciler.core.assess.observation import State

if TYPE_CHECKING:
    from reconciler.app.cluster.running import Running
    from reconciler.engines.instances import Usage

__all__ = ["Measuring"]

SHORTEST: Final = 0.5
LONGEST: Final = 60.0
"""Seconds between two measurements that make a rate."""
KEPT: Final = 5.0
"""An answer that is no older is given again, so that many clients cost no more than one."""
MACHINE: Final = ""

Documents = Mapping[str, Mapping[str, Any]]


class Measuring:
    """Threads may share it."""

    def __init__(
        self,
        running: Running,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._running = running
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._measured: tuple[float, frozenset[str], Mapping[str, Usage]] | None = None
        self._answered: tuple[float, Documents, Documents] | None = None

    def pods(self) -> Documents:
        """PodMetrics by name. Raises TemporaryError."""
        return self._answer()[1]

    def nodes(self) -> Documents:
        """NodeMetrics by name, none where the engine is on another machine. Raises TemporaryError."""
        return self._answer()[2]

    def _answer(self) -> tuple[float, Documents, Documents]:
        with self._lock:
            if self._answered is None or self._clock() - self._answered[0] > KEPT:
                self._answered = self._compute()
            return self._answered

    def _compute(self) -> tuple[float, Documents, Documents]:
        owned = [pair for pair in self._running.owned() if pair[1].state is State.RUNNING]
        ids = [instance.id for _, instance in owned]
        before = self._measured
        # By what was asked for: of containers on other nodes the engine never tells anything.
        if before is None or self._clock() - before[0] > LONGEST or not before[1].issuperset(ids):
            before = (self._clock(), frozenset(ids), self._measure(ids))
            self._sleep(SHORTEST)
        first, after = before[2], self._measure(ids)
        self._measured = (self._clock(), frozenset(ids), after)
        pods = {
            instance.name: pod_metrics(instance, ref, first[instance.id], after[instance.id])
            for ref, instance in owned
            if instance.id in first and instance.id in after
        }
        node = self._running.node
        nodes = (
            {node: node_metrics(node, first[MACHINE], after[MACHINE])}
            if MACHINE in first and MACHINE in after
            else {}
        )
        return self._clock(), pods, nodes

    def _measure(self, ids: list[str]) -> Mapping[str, Usage]:
        found = dict(self._running.instances.usage(ids))
        machine = self._running.instances.machine_usage()
        return {**found, MACHINE: machine} if machine else found
