"""Whether a container lives in the namespaces that its definition gives it: they end with the processes of their owners.

A container keeps the network, PID or IPC namespace that its owner had when it was started. When the owner is replaced or
restarted, it stays behind in one that nothing else uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from reconciler.core.assess.observation import ENDED, Container, Observation
from reconciler.core.desired.stack import Workload


def lost_namespace(container: Container, workload: Workload, observed: Observation, now: datetime) -> str:
    """Which namespace it was created for and does not live in, such as "network namespace of vpn"; empty if none.

    An owner that is not there says nothing: there is no other namespace to move to.
    """
    for what, owner, ids in _shared(container, workload):
        owners = {c.id: c for c in observed.of(owner)}
        if owners and not any(_is_since(owners[id], container, now) for id in ids if id in owners):
            return f"{what} of {owner}"
    return ""


def _shared(container: Container, workload: Workload) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The namespaces that are not its own: what, of which workload, and the containers that it was created for."""
    if workload.joins and container.joined:
        yield "network namespace", workload.joins, (container.joined,)
    if container.shared:
        for owner in sorted(workload.shares):
            yield "the namespace", owner, container.shared


def _is_since(owner: Container, container: Container, now: datetime) -> bool:
    """Whether a container was started in the namespace that its owner has now, as far as that is known.

    One that has ended is started again in the namespace that its owner has then. A clock that was set back in between says
    nothing. It was if a start is in the future, if a container was started before it was created, or if it was created
    before the owner whose ID its definition names.
    """
    if container.state in ENDED:
        return True
    if owner.started is None or container.started is None or owner.started > now:
        return True
    if container.started < container.created or container.created < owner.created:
        return True
    return owner.started <= container.started
