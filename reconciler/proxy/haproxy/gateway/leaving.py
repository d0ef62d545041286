"""How a gateway leaves a node: its HAProxies say so, serve on for a while, finish their connections, and are removed.

What leads clients to the node, such as an outer balancer, learns by the path of `spec.readiness` that it should not any
more, before the ports are closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.observation import ENDED, Admin, Container, Server
from reconciler.core.desired.stack import Role
from reconciler.core.plan.gateway_operations import ChangeReadiness, OnNode
from reconciler.core.plan.operations import Operation, RemoveContainer, StopContainer, Wait
from reconciler.proxy.haproxy.containers import haproxy_of
from reconciler.proxy.haproxy.steps import ANSWER_SECONDS

__all__ = ["Leaving", "leave", "stay"]

SILENT_LOOK: Final = 0.5
"""Seconds between two looks at a HAProxy that did not say whether it is ready."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """`readiness`: what each HAProxy, by its container's ID, says of itself; those without a path for it are missing, and
    so are those that did not answer. `grace`: seconds that they serve on after they have begun to say that they leave.
    """

    readiness: Mapping[str, Server]
    grace: float


def leave(node: str, part: Assessment, leaving: Leaving) -> Iterator[Operation | Wait]:
    """End what runs on a node."""
    proxy = haproxy_of(part.stack)
    containers = part.observed.containers
    proxies = [c for c in containers if c.role is Role.PROXY and c.state not in ENDED]
    for container in containers:
        if container.state in ENDED:
            yield OnNode.of(node, RemoveContainer.on(container, Cause.SURPLUS))
        elif container.stopping:
            continue
        elif container.role is not Role.PROXY:
            if not proxies:
                yield OnNode.of(node, StopContainer.on(container, Cause.SURPLUS, grace=0.0))
        elif (before := _before(container, part, leaving)) is not None:
            yield before
        else:
            stop = StopContainer.on(container, Cause.SURPLUS, grace=proxy.stop_grace)
            yield OnNode.of(node, stop)


def _before(container: Container, part: Assessment, leaving: Leaving) -> Operation | Wait | None:
    """What comes before a HAProxy is stopped; None if it can be."""
    said = leaving.readiness.get(container.id)
    if not leaving.grace:
        return None
    if said is None:
        instances = (each for each in part.observed.proxy.instances if each.container == container.id)
        is_busy = any(not each.answering and each.silent < ANSWER_SECONDS for each in instances)
        return Wait(SILENT_LOOK) if is_busy else None
    if said.admin is Admin.READY:
        return ChangeReadiness.on(container, Cause.SURPLUS, slot=container.slot or 0, ready=False)
    # HAProxy counts whole seconds.
    left = leaving.grace + 1.0 - said.since
    return Wait(left) if left > 0 else None


def stay(part: Assessment, leaving: Leaving) -> Iterator[Operation]:
    """Take back what HAProxies have said, on a node that the gateway has to leave no more."""
    for container in part.observed.of(haproxy_of(part.stack).name):
        said = leaving.readiness.get(container.id)
        if said and said.admin is not Admin.READY and not container.stopping:
            yield ChangeReadiness.on(container, Cause.STALE, slot=container.slot or 0, ready=True)
