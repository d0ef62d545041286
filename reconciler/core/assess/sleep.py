"""Whether a service with `spec.idle` sleeps: its web replicas are stopped, and the proxy holds the next request.

Decided anew by each pass from what the proxies know of requests. They forget it when they are replaced, so what sleeps goes
on sleeping, and what runs is given its whole time again.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.core.assess.observation import Observation
from reconciler.core.desired.stack import Role, Stack

__all__ = ["asleep", "sleeps", "sleeps_in"]


def sleeps(stack: Stack, observed: Observation, *, settled: bool) -> bool:
    """Whether the web replicas of a stack are to be stopped for want of requests. `settled`: its revision was complete
    once, so that nothing has to be started to find out whether it works.
    """
    if stack.idle is None or not settled:
        return False
    activity, runs = observed.proxy.activity, _runs(observed)
    if activity is None:
        return not runs
    if activity.open:
        return False
    # Without a replica it was asleep, unless the proxies saw a request: then its replicas have died.
    return activity.idle >= stack.idle or not (runs or activity.is_known)


def asleep(stack: Stack) -> Stack:
    """The same stack without web replicas; its dependencies go on running."""
    workloads = (replace(w, replicas=0) if w.role is Role.WEB else w for w in stack.workloads)
    return replace(stack, workloads=tuple(workloads), rotation=None, rotated_at=None, is_asleep=True)


def sleeps_in(stack: Stack, observed: Observation) -> float | None:
    """Seconds until a stack that is awake may sleep at the earliest; None for one that never does."""
    activity = observed.proxy.activity
    if stack.idle is None or stack.is_asleep:
        return None
    if activity is None or activity.open:
        return stack.idle
    return max(0.0, stack.idle - activity.idle)


def _runs(observed: Observation) -> bool:
    return any(c.role is Role.WEB for c in observed.engine.containers)
