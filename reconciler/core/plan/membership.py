"""The servers of the pool: which replicas join it and with which weight, and which the proxy's file has to name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.health import Replica
from reconciler.core.assess.instance import Phase
from reconciler.core.assess.observation import DEFAULT_WEIGHT
from reconciler.core.plan.looks import DRAIN_LOOK
from reconciler.core.plan.operations import AddServer, DrainServer, Operation, SetWeight, Wait
from reconciler.core.plan.rotation import active_due_in, choose_active
from reconciler.core.plan.strategies import Decision


def admit(assessment: Assessment, decision: Decision, kept: Sequence[Replica]) -> Iterator[Operation | Wait]:
    """Add every ready replica that stays to the pool, at its current address."""
    if not assessment.slots:
        return
    kept_out = decision.gates.kept_out
    ready = [r for r in kept if r.phase is Phase.READY and r.address is not None and r.name not in kept_out]
    if decision.gates.turns:
        ready, waits = _next_active(assessment, ready)
        yield from waits
    for replica in ready:
        if replica.in_pool or replica.address is None:
            continue
        # Adding a server replaces one at another address, only in the proxies that have it; others may be up to date.
        moved = replica.member is not None and bool(replica.member.addresses - {replica.address})
        yield AddServer(
            server=replica.name,
            slots=assessment.slots,
            address=replica.address,
            trusted=replica.is_trusted,
            weight=decision.weights.get(replica.name, DEFAULT_WEIGHT),
            cause=Cause.STALE if moved else Cause.READY,
        )


def _next_active(assessment: Assessment, ready: list[Replica]) -> tuple[list[Replica], list[Wait]]:
    """The one replica to admit when one serves at a time: none while the active one has time left."""
    rotation = assessment.stack.rotation
    active = [r for r in assessment.replicas if r.taking_traffic or (r.in_pool and r in ready)]
    standby = [r for r in ready if r.current and not r.in_pool and not r.draining]
    if rotation is None or len(active) > 1:
        return [], []
    if active and (left := active_due_in(rotation, active[0])) > 0:
        return [], [Wait(left)]
    # A replica that only some HAProxies know, because another has read an old file, is active there.
    partly = [r for r in ready if r.member is not None and not r.in_pool and not r.draining]
    if partly and not active:
        return partly, []
    chosen = choose_active(standby or ([] if active else ready), active[0] if active else None)
    return ([chosen] if chosen else []), []


def weigh(assessment: Assessment, decision: Decision, kept: Sequence[Replica]) -> Iterator[Operation]:
    """Set the weights of the servers in the pool to those of the strategy."""
    for replica in kept:
        wanted = decision.weights.get(replica.name, DEFAULT_WEIGHT)
        if replica.in_pool and replica.member and replica.member.weights != {wanted}:
            yield SetWeight(server=replica.name, slots=assessment.slots, weight=wanted, cause=Cause.STALE)


def is_served(assessment: Assessment) -> bool:
    """Whether new requests still go to any replica."""
    return any(r.member is not None and not r.draining for r in assessment.replicas)


def left_to_hold(assessment: Assessment, kept: Sequence[Replica]) -> float:
    """Seconds until the proxy gives up requests that it holds for a dependency; infinity when it holds none for it.

    A replica that is ready by its own check answers them at least as well as the 503 that they would get.
    """
    drained = [r.member.since for r in kept if r.member is not None and r.draining]
    return assessment.stack.proxy.patience - min(drained) if drained else inf


def empty(assessment: Assessment, kept: Sequence[Replica]) -> Iterator[Operation | Wait]:
    """Drain every server of the pool without stopping a container."""
    for replica in kept:
        if replica.member is not None and not replica.member.draining:
            yield DrainServer(server=replica.name, slots=assessment.slots, cause=Cause.HOLD)
    if any(replica.sessions for replica in kept):
        yield Wait(DRAIN_LOOK, "requests end before a dependency changes")


def servers_of(
    assessment: Assessment, kept: Sequence[Replica], steps: Sequence[Operation | Wait]
) -> dict[str, str]:
    """The servers in the proxy's file: a worker that starts from it must serve the same servers as the running ones.

    That includes servers that only one of them has. While no proxy answers, the file names every replica that could serve:
    those that are healthy, or were in the file before. A proxy treats the servers of its file as UP until it has checked
    them.
    """
    added = {step.server for step in steps if isinstance(step, AddServer)}
    named = assessment.observed.proxy.configured
    serve = [
        r
        for r in kept
        if r.in_pool
        or not r.idle
        or r.name in added
        or (not assessment.slots and r.phase is Phase.READY and (r.is_trusted or r.name in named))
    ]
    if not assessment.slots:
        # More may be ready than should serve, and those of the file do.
        serve = sorted(serve, key=lambda r: r.name not in named)[: assessment.stack.serving]
    return {r.name: r.address for r in serve if r.address}
