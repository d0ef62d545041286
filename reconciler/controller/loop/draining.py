"""The end of draining a node: when nothing is left that could move, the engine itself keeps it empty.

What was asked is with the node, in the engine, and what is left is observed. So it makes no difference which process asked,
or whether it still runs.

A node that gateways come in by stays closed instead: the engine's own drain would end the agent beside HAProxy, which would
serve on without ever hearing of a change.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.api.reasons import Reason
from reconciler.core.plan.draining import remaining
from reconciler.engines.nodes import Node, Nodes
from reconciler.store.base import Objects, Records, readable

if TYPE_CHECKING:
    from reconciler.api.vaultgateway import GatewayStatus, VaultGateway

__all__ = ["settle", "ways_in"]

_log = logging.getLogger(__name__)


def ways_in(gateways: Objects[VaultGateway, GatewayStatus], node: Node) -> tuple[str, ...]:
    """The names of the gateways that run on a node by their `nodeSelector`, or that have not left it yet. Raises
    VaultError.
    """
    return tuple(name for name in gateways.names() if _is_selected(gateways, name, node))


def _is_selected(gateways: Objects[VaultGateway, GatewayStatus], name: str, node: Node) -> bool:
    found = readable(gateways, name)
    if found is None or (selector := found.resource.spec.node_selector) is None:
        return False
    return node.is_selected(selector) or node.name in {each.name for each in gateways.status(name).nodes}


def settle(
    nodes: Nodes, gateways: Objects[VaultGateway, GatewayStatus], records: Records, now: datetime
) -> tuple[str, ...]:
    """Leave each drained node that is free, and no way in of a gateway, to the engine; returns their names, and records an
    event of each. Raises VaultError.
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
        if ways_in(gateways, node):
            continue
        # Passes of several services, and a command that waits, may see it at the same time: one of them tells.
        if nodes.leave(node.id):
            done.append(node.name)
            message = f"node {node.name} is drained: the engine gives it no instance until it is uncordoned"
            records.record_event("", "Normal", Reason.NODE_DRAINED, message, now)
            _log.info("%s", message)
    return tuple(done)
