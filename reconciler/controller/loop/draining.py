"""The end of draining a node: when nothing is left that could move, the engine itself keeps it empty.

What was asked is with the node, in the engine, and what is left is observed. So it makes no difference which process asked,
or whether it still runs.
"""

from __future__ import annotations

import logging
from datetime import datetime

from reconciler.api.reasons import Reason
from reconciler.core.plan.draining import remaining
from reconciler.engines.nodes import Nodes
from reconciler.store.base import Records

__all__ = ["settle"]

_log = logging.getLogger(__name__)


def settle(nodes: Nodes, records: Records, now: datetime) -> tuple[str, ...]:
    """Leave each drained node that is free to the engine; returns their names, and records an event of each. Raises
    VaultError.
    """
    drained = [node for node in nodes.all() if node.is_left]
    if not drained:
        return ()
    placed = nodes.placed()
    done = []
    for node in drained:
        assert node.drain is not None
        if not remaining(node.name, placed).is_free(stops_pinned=node.drain.stops_pinned):
            continue
        # Passes of several services, and a command that waits, may see it at the same time: one of them tells.
        if nodes.leave(node.id):
            done.append(node.name)
            message = f"node {node.name} is drained: the engine gives it no instance until it is uncordoned"
            records.record_event("", "Normal", Reason.NODE_DRAINED, message, now)
            _log.info("%s", message)
    return tuple(done)
