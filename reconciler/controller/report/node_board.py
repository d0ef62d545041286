"""The nodes of a Swarm as they were last looked at, for metrics: a scrape asks no engine.

Swarm tells no event of another node or of a task, so the looks are at intervals.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable
from typing import Final

from metrics.nodes import NodeSnapshot, SwarmSnapshot
from reconciler.api.errors import VaultError
from reconciler.core.plan.draining import Placed
from reconciler.engines.nodes import Node, Nodes

__all__ = ["NodeBoard"]

ROUND_SECONDS: Final = 15.0
"""As often as Prometheus usually scrapes."""

_log = logging.getLogger(__name__)


class NodeBoard:
    """The last look at the nodes of an engine. Threads may share it."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._seen: SwarmSnapshot | None = None

    def snapshot(self) -> SwarmSnapshot | None:
        """What was seen; None before the first look."""
        return self._seen

    def look(self) -> None:
        """Look at all nodes. What cannot be had is said by the snapshot."""
        try:
            nodes, placed = self._nodes.all(), self._nodes.placed()
        except VaultError as error:
            if self._seen is None or self._seen.answers:
                _log.warning("the nodes of the Swarm cannot be seen: %s", error)
            self._seen = SwarmSnapshot(answers=False)
            return
        managers = [node for node in nodes if node.is_manager]
        self._seen = SwarmSnapshot(
            answers=True,
            nodes=tuple(_snapshot(node, placed) for node in nodes),
            managers=len(managers),
            reachable=sum(bool(node.is_reachable) for node in managers),
        )

    def keep(self, stop: threading.Event) -> None:
        """Look from time to time in a thread of its own, until `stop` is set."""

        def run() -> None:
            while not stop.is_set():
                try:
                    self.look()
                except Exception:
                    # What was seen before may no longer be so, and an alert waits for the answer.
                    self._seen = SwarmSnapshot(answers=False)
                    _log.exception("a look at the nodes of the Swarm failed")
                stop.wait(ROUND_SECONDS)

        threading.Thread(target=run, name="nodes", daemon=True).start()


def _snapshot(node: Node, placed: Iterable[Placed]) -> NodeSnapshot:
    here = [each for each in placed if each.node == node.name]
    counts = Counter(present=sum(each.is_up for each in here), ready=sum(each.is_ready for each in here))
    return NodeSnapshot(
        name=node.name,
        up=node.is_up,
        availability=node.availability.value,
        draining=node.drain is not None,
        instances=counts,
        images_missing=sum(each.lacks_image for each in here),
    )
