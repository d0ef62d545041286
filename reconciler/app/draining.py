"""Closing a node to instances, emptying it, and opening it again.

The wish is kept with the node, in the engine, so any controller goes on with it, and it makes no difference if the command
that asked is killed. The controller replaces instances as in a rotation; here is only waited and told.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from reconciler.api.errors import PermanentError, VaultError
from reconciler.app.nodes import named
from reconciler.controller.loop.draining import settle, ways_in
from reconciler.core.plan.draining import Placed, Remaining, remaining
from reconciler.engines.nodes import Availability, Drain

if TYPE_CHECKING:
    from reconciler.api.vaultgateway import GatewayStatus, VaultGateway
    from reconciler.engines.nodes import Node, Nodes
    from reconciler.store.base import Objects, Records

    Gateways = Objects[VaultGateway, GatewayStatus]

__all__ = ["NotDrainedError", "cordon", "drain", "uncordon", "wait_until_drained"]

LOOK_SECONDS: Final = 1.0
"""Between two looks: an engine of several nodes tells no event of what happens on the others."""


class NotDrainedError(VaultError):
    """A node still has instances after the time to wait, or keeps some that can run nowhere else."""


def cordon(nodes: Nodes, name: str) -> Node:
    """Give a node no further instance; those that it has stay. Raises VaultError."""
    node = named(nodes.all(), name)
    # One that is being drained stays so.
    if node.availability is Availability.ACTIVE:
        nodes.change(node.id, Availability.PAUSE, node.drain)
    return node


def uncordon(nodes: Nodes, name: str) -> Node:
    """Open a node to instances again, and take back that it is to be drained. Raises VaultError."""
    node = named(nodes.all(), name)
    if node.availability is not Availability.ACTIVE or node.drain:
        nodes.change(node.id, Availability.ACTIVE, None)
    return node


def drain(nodes: Nodes, gateways: Gateways, name: str, now: datetime, *, stops_pinned: bool) -> Node:
    """Ask that all instances leave a node; returns at once. A repeated request changes at most `stops_pinned`.

    Raises PermanentError if no other node could take them, and if what is pinned is to stop on a way in of a gateway: only
    the engine's own drain stops it, which ends the agent as well.
    """
    there = nodes.all()
    node = named(there, name)
    others = [each.name for each in there if each.is_up and each.takes_tasks and each is not node]
    if len(there) > 1 and not others:
        raise PermanentError(
            f"no other node takes instances, so none can leave {node.name}: `vaultctl get nodes` shows why; "
            "`vaultctl uncordon NODE` opens one"
        )
    if stops_pinned and (found := ways_in(gateways, node)):
        raise PermanentError(
            f"{node.name} is a way in of the gateway {', '.join(found)}, and --stop-pinned would end the agent there, "
            "without which HAProxy hears of no change: remove the label that selects the node first"
        )
    since = node.drain.since if node.drain else now
    wanted = Drain(since, stops_pinned or (node.drain is not None and node.drain.stops_pinned))
    if node.availability is Availability.DRAIN and (node.drain is None or wanted == node.drain):
        return node
    # Closed first, so that nothing that leaves comes back.
    nodes.change(node.id, Availability.PAUSE, wanted)
    return node


def wait_until_drained(
    nodes: Nodes,
    gateways: Gateways,
    records: Records,
    name: str,
    timeout: float,
    report: Callable[[str], None],
    *,
    now: Callable[[], datetime],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Remaining:
    """Report what is left on a node until that is nothing but what is pinned, and leave the node to the engine then, unless
    it is a way in of gateways.

    Raises NotDrainedError after `timeout` seconds, and PermanentError if the request was taken back meanwhile.
    """
    deadline, last = clock() + timeout, ""
    while True:
        settle(nodes, gateways, records, now())
        node = named(nodes.all(), name)
        left = remaining(node.name, nodes.placed())
        if node.availability is Availability.DRAIN:
            return left
        if not node.is_left:
            raise PermanentError(f"node {node.name} is no longer to be drained: it was uncordoned meanwhile")
        if not left.moving and not left.jobs and (left.pinned or ways_in(gateways, node)):
            return left
        if (text := _told(left)) != last:
            report(text)
            last = text
        if clock() >= deadline:
            raise NotDrainedError(
                f"node {node.name} is not empty after {timeout:g} s: {text}. The controller goes on: `vaultctl describe "
                f"NAME` says what a service waits for, and `vaultctl uncordon {node.name}` takes it back"
            )
        sleep(min(LOOK_SECONDS, max(0.0, deadline - clock())))


def _told(left: Remaining) -> str:
    parts = [
        f"{what} {_counted(instances)}"
        for what, instances in (
            ("moving", left.moving),
            ("waiting for jobs", left.jobs),
            ("pinned", left.pinned),
        )
        if instances
    ]
    return "; ".join(parts) or "nothing is left"


def _counted(instances: Iterable[Placed]) -> str:
    """How many instances of which objects."""
    counts = Counter(each.label for each in instances)
    return ", ".join(f"{label} ({count})" for label, count in sorted(counts.items()))
