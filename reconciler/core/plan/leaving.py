"""Who leaves the pool, and why: every reason for replacing a replica meets the same budget here.

Updating, healing, scaling down and rotating all ask for replicas to go. Together they may never leave fewer than
N - unavailable that take traffic, so they are counted in one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from heapq import nsmallest

from reconciler.core.assess.cause import Cause
from reconciler.core.assess.health import Replica
from reconciler.core.assess.instance import Phase
from reconciler.core.desired.stack import Stack, StrategyKind
from reconciler.core.plan.rotation import due_in


def leaving(
    stack: Stack, replicas: Sequence[Replica], now: datetime, *, can_drain: bool
) -> dict[Replica, Cause]:
    """The replicas that leave now, each with its cause: as many as the pool can spare, the least useful first.

    `can_drain`: a proxy answers, so that what seems to serve nothing does serve nothing.
    """
    candidates = _candidates(stack, replicas, now)
    if not candidates:
        return {}
    floor = _floor(stack)
    spare = sum(r.available(stack.strategy.min_ready) for r in replicas) - floor
    well = sum(r.serving for r in replicas)
    found: dict[Replica, Cause] = {}
    for replica in sorted(
        candidates, key=lambda r: (not r.draining, r.taking_traffic, r.phase is Phase.READY)
    ):
        counts = replica.taking_traffic
        # One that was taken out while a dependency changed, and could serve again, is the best there is until others do.
        drained = replica.draining and (well >= floor or replica.phase is not Phase.READY)
        useless = drained or (replica.idle and replica.phase is not Phase.READY)
        # While who takes traffic is not well, whoever is ready may be the only one to answer.
        unneeded = (
            not counts and spare >= 0 and can_drain and (well >= floor or replica.phase is not Phase.READY)
        )
        if useless or unneeded or (counts and spare > 0):
            found[replica] = candidates[replica]
            spare -= counts
            well -= replica.serving
    return found


def _floor(stack: Stack) -> int:
    """The fewest replicas that may take traffic. Recreate gives up all of them at once, and HAProxy holds."""
    if stack.strategy.kind is StrategyKind.RECREATE:
        return 0
    return 1 if stack.is_single_active else max(0, stack.replicas - stack.strategy.unavailable)


def _candidates(stack: Stack, replicas: Sequence[Replica], now: datetime) -> dict[Replica, Cause]:
    """The replicas that should leave when there is room for it, oldest first within a cause."""
    found: dict[Replica, Cause] = {}
    for replica in replicas:
        if replica.phase not in (Phase.DEAD, Phase.STOPPING) and (cause := _cause(stack, replica)):
            found[replica] = cause
    for workload in stack.web:
        rest = [r for r in replicas if r.workload is workload and r.useful and r not in found]
        if len(rest) > workload.replicas:
            surplus = nsmallest(len(rest) - workload.replicas, rest, key=lambda r: _worth(stack, r))
            renewed = stack.rotation is not None and not stack.is_single_active
            found |= dict.fromkeys(surplus, Cause.ROTATION if renewed else Cause.SURPLUS)
    return found | _rotated(stack, replicas, found, now)


def _cause(stack: Stack, replica: Replica) -> Cause | None:
    """Why this replica should leave whatever the others are, if it should."""
    if not replica.current and not stack.strategy.paused:
        if replica.asked:
            return Cause.ROTATION
        return Cause.OUTDATED if replica.workload.replicas else Cause.SURPLUS
    if replica.phase is Phase.UNHEALTHY:
        return Cause.DETACHED if replica.is_detached else Cause.UNHEALTHY
    return None


def _worth(stack: Stack, replica: Replica) -> tuple[object, ...]:
    """Sorts those of whom there are too many, the first to go first: what drains already, what does not serve, the oldest.

    Under rotation the young one that does not serve yet is the point of having too many, unless they take turns.
    """
    spared = replica.serving and (stack.rotation is None or stack.is_single_active)
    return (not replica.draining, spared, replica.container.age_key)


def _rotated(
    stack: Stack, replicas: Sequence[Replica], found: Mapping[Replica, Cause], now: datetime
) -> dict[Replica, Cause]:
    """The replica whose time is over, where no other may come before it goes."""
    if stack.is_single_active:
        # Two take traffic while one takes over from the other; the one that has done so for longer is done.
        active = [r for r in replicas if r.taking_traffic and r not in found and r.member is not None]
        active.sort(key=lambda r: (r.member.since if r.member else 0.0, r.name))
        # Nor is there a use for one that serves no longer, or that only some HAProxies know, when another serves.
        former = [
            r for r in replicas if r.member is not None and not r.in_pool and r.useful and r not in found
        ]
        return dict.fromkeys([*active[1:], *(r for r in former if r.draining or active)], Cause.ROTATION)
    wait = None if found else due_in(stack, replicas, now)
    if stack.surge or wait is None or wait > 0:
        return {}
    # There is none when all of them are on their way out already.
    oldest = next((r for r in replicas if r.useful), None)
    return {oldest: Cause.ROTATION} if oldest else {}
