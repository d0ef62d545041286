"""Which replicas leave the pool, and why: every reason for replacing a replica shares one budget.

Updates, healing, scaling down and rotation all remove replicas. Together they must keep at least N - unavailable replicas
that take traffic, so they are counted in one place.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from heapq import nsmallest

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.health import Replica
from reconciler.core.assess.instance import ENDING, Phase
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.rotation import due_in
from reconciler.core.plan.strategies import Decision


def leaving(assessment: Assessment, decision: Decision) -> dict[Replica, Cause]:
    """The replicas that leave now, each with its cause: as many as the pool can spare, the least useful first."""
    stack, replicas, floor = assessment.stack, assessment.replicas, decision.floor
    candidates = _candidates(stack, decision, replicas, assessment.now)
    if not candidates:
        return {}
    # A replica is known to have no traffic only when a proxy answers.
    can_drain = bool(assessment.slots)
    spare = sum(r.available(stack.strategy.min_ready) for r in replicas) - floor
    well = sum(r.serving for r in replicas)
    found: dict[Replica, Cause] = {}
    for replica in sorted(candidates, key=_usefulness):
        counts = replica.taking_traffic
        # One that was taken out while a dependency changed, and could serve again, is the best there is until others do.
        drained = replica.draining and (well >= floor or replica.phase is not Phase.READY)
        useless = drained or (replica.idle and replica.phase is not Phase.READY)
        # While the replicas that take traffic are unhealthy, a ready one may be the only one that answers.
        unneeded = (
            not counts and spare >= 0 and can_drain and (well >= floor or replica.phase is not Phase.READY)
        )
        if useless or unneeded or (counts and spare > 0):
            found[replica] = candidates[replica]
            spare -= counts
            well -= replica.serving
    return found


def _usefulness(replica: Replica) -> tuple[bool, ...]:
    """Sorts replicas in the order in which they leave. One that starts again may answer; of one that is unhealthy it is
    known that it does not, before a proxy's check has found out.
    """
    return (
        not replica.draining,
        replica.taking_traffic,
        replica.phase is Phase.READY,
        replica.phase is not Phase.UNHEALTHY,
    )


def _candidates(
    stack: Stack, decision: Decision, replicas: Sequence[Replica], now: datetime
) -> dict[Replica, Cause]:
    """The replicas that should leave when there is room for it, oldest first within a cause."""
    found: dict[Replica, Cause] = {}
    turns, kept_on = decision.gates.turns, decision.gates.kept_on
    for replica in replicas:
        if replica.phase not in ENDING and (cause := _cause(stack, replica, kept_on)):
            found[replica] = cause
    for workload in stack.web:
        rest = [r for r in replicas if r.workload is workload and r.useful and r not in found]
        # New ones that were created beside those that stay are no surplus: they would be created again.
        keeps = kept_on and any(r.name in kept_on for r in rest)
        wanted = workload.replicas + (decision.surge if keeps else 0)
        if len(rest) > wanted:
            surplus = nsmallest(len(rest) - wanted, rest, key=lambda r: _worth(stack, r, turns=turns))
            renewed = stack.rotation is not None and not turns
            unwanted = Cause.IDLE if stack.is_asleep else Cause.SURPLUS
            found |= dict.fromkeys(surplus, Cause.ROTATION if renewed else unwanted)
    return found | _rotated(stack, decision, replicas, found, now)


def _cause(stack: Stack, replica: Replica, kept_on: Container[str]) -> Cause | None:
    """The cause for this replica to leave, independent of the others, if there is one."""
    if stack.is_stopped:
        return Cause.STOPPED
    if not replica.current and not stack.strategy.paused and replica.name not in kept_on:
        if replica.asked:
            return Cause.NODE if replica.is_moving else Cause.ROTATION
        if replica.is_detached:
            return Cause.DETACHED
        return Cause.OUTDATED if replica.workload.replicas else Cause.SURPLUS
    if replica.phase is Phase.UNHEALTHY:
        return Cause.DETACHED if replica.is_detached else Cause.UNHEALTHY
    return None


def _worth(stack: Stack, replica: Replica, *, turns: bool) -> tuple[object, ...]:
    """Sorts surplus replicas in the order of removal: draining, not serving, not even for a proxy that missed the latest
    change, oldest.

    During rotation the oldest one is the surplus, whether it serves or not, unless the strategy is single-active.
    """
    spares = stack.rotation is None or turns
    return (
        not replica.draining,
        spares and replica.serving,
        spares and not replica.idle,
        replica.container.age_key,
    )


def _rotated(
    stack: Stack,
    decision: Decision,
    replicas: Sequence[Replica],
    found: Mapping[Replica, Cause],
    now: datetime,
) -> dict[Replica, Cause]:
    """The replica that is due for rotation, where surge is not allowed."""
    if decision.gates.turns:
        # During a takeover two replicas take traffic; the one that has served longer is retired.
        active = [r for r in replicas if r.taking_traffic and r not in found and r.member is not None]
        active.sort(key=lambda r: (r.member.since if r.member else 0.0, r.name))
        # Also retire former actives that not all HAProxies know, once another replica serves.
        former = [
            r for r in replicas if r.member is not None and not r.in_pool and r.useful and r not in found
        ]
        return dict.fromkeys([*active[1:], *(r for r in former if r.draining or active)], Cause.ROTATION)
    wait = None if found else due_in(stack, replicas, now)
    if decision.surge or wait is None or wait > 0:
        return {}
    # There is none when all of them are leaving already.
    oldest = next((r for r in replicas if r.useful), None)
    return {oldest: Cause.ROTATION} if oldest else {}
