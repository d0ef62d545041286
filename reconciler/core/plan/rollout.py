"""The replicas of the pool: which to create, add, drain, stop and remove next.

A rollout is a fixpoint and not a procedure: each pass assesses every replica and takes the next step, from any state.
Scaling, healing, updates and rotation use the same arithmetic with different causes:

- new replicas fill the pool up to N + surge containers,
- old ones leave it while at least N - unavailable others take traffic (leaving.py),
- nothing is stopped before every proxy said that it has no session, or its drain deadline has passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.health import Replica, cause_of_end
from reconciler.core.assess.history import History
from reconciler.core.assess.instance import Phase
from reconciler.core.assess.moved import kept_image
from reconciler.core.assess.observation import DEFAULT_WEIGHT
from reconciler.core.assess.pool import Member
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.leaving import leaving
from reconciler.core.plan.operations import (
    AddServer,
    CreateReplicas,
    DeleteServer,
    DrainServer,
    Operation,
    RemoveContainer,
    SetWeight,
    StartContainer,
    Step,
    StopContainer,
    Wait,
)
from reconciler.core.plan.rotation import active_due_in, choose_active, due_in
from reconciler.core.plan.strategies import Decision

DRAIN_LOOK: Final = 0.05
"""Seconds between two looks at a draining server, at first: no event tells when its last session ends."""

CHECK_LOOK: Final = 1.0
"""Initial seconds between two checks of a server that waits for its first good health check, in case its event is missed.
"""

LATE_BY: Final = 0.1
LONGEST_LOOK: Final = 5.0
"""Upper limit of the delay with which the end of a long wait is seen; below it, the delay is a tenth of the wait."""


@dataclass(frozen=True, slots=True)
class WebStep:
    """The next step of the pool, and the servers (name to address) that the proxy's file has to name from now on.

    `weights`: those of them that do not have the default.
    """

    step: Step
    servers: Mapping[str, str]
    weights: Mapping[str, int]


def plan_web(
    assessment: Assessment,
    history: History,
    decision: Decision,
    *,
    may_start: bool,
    may_serve: bool,
    hold: bool,
) -> WebStep:
    """The next step of all `web` workloads together.

    `may_start`: what new ones need is ready; `may_serve`: what those need that run is. `hold`: what they need is being
    changed, so the pool has to be empty and the proxy holds the requests.
    """
    dead = [r for r in assessment.replicas if r.phase is Phase.DEAD]
    retiring = leaving(assessment, decision)
    # An unhealthy replica that answers is worth more than one that cannot be created.
    retiring = {
        r: cause
        for r, cause in retiring.items()
        if not (r.taking_traffic and r.workload.name in assessment.lacking)
    }
    kept = [r for r in assessment.replicas if r.live and r.phase is not Phase.STOPPING and r not in retiring]
    steps: list[Operation | Wait] = [*_forget_servers(assessment), *_bury(dead)]
    if hold:
        steps += _empty(assessment, kept)
    elif may_serve or _is_served(assessment) or (left := _left_to_hold(assessment, kept)) <= 0:
        # A pool that was emptied for a dependency stays empty until that is ready; serving replicas are not affected.
        steps += _admit(assessment, decision, kept)
        steps += _weigh(assessment, decision, kept)
    elif left < inf:
        steps.append(Wait(left))
    steps += _retire(assessment, retiring)
    if may_start:
        steps += _start(kept)
    if may_start or (not assessment.replicas and assessment.observed.engine.capabilities.creates_stopped):
        # The first replicas can be created before their dependencies are ready.
        steps += _create(assessment, history, decision, retiring, dead)
    steps += _explain(assessment, kept)
    servers = {} if hold else _servers(assessment, kept, steps)
    weights = {
        name: weight
        for name, weight in decision.weights.items()
        if name in servers and weight != DEFAULT_WEIGHT
    }
    return WebStep(Step.of(steps), servers, weights)


# Dead replicas


def _bury(dead: Sequence[Replica]) -> Iterator[Operation]:
    for replica in dead:
        ended = cause_of_end(replica.container, current=replica.current)
        yield _remove(replica, Cause.DETACHED if replica.is_detached else ended)


def _forget_servers(assessment: Assessment) -> list[Operation | Wait]:
    """The servers of dead replicas: they get no new requests at once, and pending requests are redispatched."""
    gone = set(assessment.members) - {replica.name for replica in assessment.replicas if replica.live}
    return _neighbours(_forget(assessment, name) for name in sorted(gone))


def _forget(assessment: Assessment, name: str) -> Operation | Wait:
    member = assessment.members[name]
    if not member.draining:
        return DrainServer(server=name, slots=assessment.slots, cause=Cause.DEAD)
    if _is_deserted(member, assessment.stack):
        cut = f"cuts {member.sessions} sessions" if member.sessions else ""
        return DeleteServer(
            server=name, slots=assessment.slots, force=bool(cut), cause=Cause.DEAD, detail=cut
        )
    look = _next_look(DRAIN_LOOK, member.since, assessment.stack.proxy.redispatch)
    return Wait(look, f"{name} has ended; its {member.sessions} sessions may go elsewhere")


def _is_deserted(member: Member, stack: Stack) -> bool:
    """Whether all requests to the server of a dead replica have ended or gone to another one."""
    return member.sessions == 0 or member.since >= stack.proxy.redispatch


# Pool members


def _admit(assessment: Assessment, decision: Decision, kept: Sequence[Replica]) -> Iterator[Operation | Wait]:
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


def _weigh(assessment: Assessment, decision: Decision, kept: Sequence[Replica]) -> Iterator[Operation]:
    """Set the weights of the servers in the pool to those of the strategy."""
    for replica in kept:
        wanted = decision.weights.get(replica.name, DEFAULT_WEIGHT)
        if replica.in_pool and replica.member and replica.member.weights != {wanted}:
            yield SetWeight(server=replica.name, slots=assessment.slots, weight=wanted, cause=Cause.STALE)


def _is_served(assessment: Assessment) -> bool:
    return any(r.member is not None and not r.draining for r in assessment.replicas)


def _left_to_hold(assessment: Assessment, kept: Sequence[Replica]) -> float:
    """Seconds until the proxy gives up requests that it holds for a dependency; infinity when it holds none for it.

    A replica that is ready by its own check answers them at least as well as the 503 that they would get.
    """
    drained = [r.member.since for r in kept if r.member is not None and r.draining]
    return assessment.stack.proxy.patience - min(drained) if drained else inf


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


def _empty(assessment: Assessment, kept: Sequence[Replica]) -> Iterator[Operation | Wait]:
    """Drain every server of the pool without stopping a container."""
    for replica in kept:
        if replica.member is not None and not replica.member.draining:
            yield DrainServer(server=replica.name, slots=assessment.slots, cause=Cause.HOLD)
    if any(replica.sessions for replica in kept):
        yield Wait(DRAIN_LOOK, "requests end before a dependency changes")


def _servers(
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
    return {
        r.name: r.address
        for r in serve[: assessment.stack.serving if not assessment.slots else None]
        if r.address
    }


# Leaving replicas


def _retire(assessment: Assessment, retiring: Mapping[Replica, Cause]) -> list[Operation | Wait]:
    """Drain, then stop drained replicas; a container that never ran is removed at once."""
    return _neighbours(
        step for replica, cause in retiring.items() for step in _end(assessment, replica, cause)
    )


def _end(assessment: Assessment, replica: Replica, cause: Cause) -> Iterator[Operation | Wait]:
    member = replica.member
    if replica.phase is Phase.CREATED:
        yield _remove(replica, cause)
    elif assessment.silent and (member is None or member.draining):
        yield Wait(DRAIN_LOOK, f"{replica.container.name} leaves when every HAProxy answers")
    elif member is None:
        yield _stop(replica, cause)
    elif not member.draining:
        yield DrainServer(server=replica.name, slots=assessment.slots, cause=cause, detail=replica.reason)
        if replica.idle and member.sessions == 0 and not assessment.silent:
            # Nothing to wait for; and once drained, one without a check of its own would look well again.
            yield DeleteServer(server=replica.name, slots=assessment.slots, force=False, cause=cause)
            yield _stop(replica, cause)
    elif member.sessions == 0:
        # The proxy refuses this while there is a session, so its success allows the stop.
        yield DeleteServer(server=replica.name, slots=assessment.slots, force=False, cause=cause)
        yield _stop(replica, cause)
    elif member.since >= assessment.stack.strategy.drain:
        yield _stop(replica, cause, cut=member.sessions)
    else:
        look = _next_look(DRAIN_LOOK, member.since, assessment.stack.strategy.drain)
        yield Wait(look, f"{replica.container.name} has {member.sessions} sessions to end")


def _neighbours(steps: Iterable[Operation | Wait]) -> list[Operation | Wait]:
    """The same steps, those that share a call side by side: all drains, all deletions, then the stops that need them.

    What needs no deletion comes first: a server that cannot be deleted ends the pass.
    """
    parts = list(steps)
    deleted = {part.server for part in parts if isinstance(part, DeleteServer)}

    def turn(part: Operation | Wait) -> int:
        match part:
            case DrainServer():
                return 1
            case DeleteServer(force=force):
                return 3 if force else 2
            case StopContainer(container=container):
                return 4 if container[:12] in deleted else 0
        return 0

    return sorted(parts, key=turn)


# New replicas


def _start(kept: Sequence[Replica]) -> Iterator[Operation]:
    for replica in kept:
        if replica.phase is Phase.CREATED:
            yield StartContainer.on(replica.container, Cause.MISSING)


def _create(
    assessment: Assessment,
    history: History,
    decision: Decision,
    retiring: Mapping[Replica, Cause],
    dead: Sequence[Replica],
) -> Iterator[Operation | Wait]:
    stack, replicas = assessment.stack, assessment.replicas
    if not decision.gates.create:
        return
    room = stack.replicas + decision.surge - sum(r.live for r in replicas)
    renewed = None
    if decision.surge and not decision.gates.turns and set(retiring.values()) <= {Cause.ROTATION}:
        # The next one may come while the last one still ends its requests, if there is room for both.
        wait = due_in(stack, replicas, assessment.now)
        if wait is not None and wait > 0:
            yield Wait(wait)
        elif wait is not None:
            renewed = next((r.workload for r in replicas if r.useful and r not in retiring), None)
    for workload in stack.web:
        mine = [r for r in replicas if r.workload is workload]
        useful = sum(r.useful and r not in retiring and (r.current or stack.strategy.paused) for r in mine)
        count = min(workload.replicas + (workload is renewed) - useful, room)
        if count <= 0 or not all(map(assessment.observed.of, workload.shares)):
            # A container is created for the namespace of one that is there.
            continue
        if wait := history.wait_before_replacing(workload.name, workload.replicas, assessment.now):
            yield Wait(wait, f"{workload.name} died again and again; next try in {wait:.0f} s")
            continue
        room -= count
        rotated = workload is renewed or any(r.asked for r in mine) or Cause.ROTATION in retiring.values()
        removed = sum(r in dead or (r in retiring and r.phase is Phase.CREATED) for r in mine)
        outdated = any(not r.current and not r.asked for r in mine)
        yield CreateReplicas(
            workload=workload.name,
            count=count,
            existing=len(mine) - removed,
            image=kept_image(assessment.observed.engine, workload, (r.container for r in mine if r.live)),
            cause=Cause.OUTDATED if outdated else Cause.ROTATION if rotated else Cause.MISSING,
            detail=f"{useful} of {workload.replicas} of {workload.revision}",
        )


# Waiting


def _explain(assessment: Assessment, kept: Sequence[Replica]) -> Iterator[Wait]:
    """Report the waits, and set a requeue time for those without an event."""
    strategy, rotated_at = assessment.stack.strategy, assessment.stack.rotated_at
    if rotated_at and rotated_at > assessment.now:
        yield Wait((rotated_at - assessment.now).total_seconds())
    for replica in kept:
        name = replica.container.name
        if replica.in_pool and replica.member and not replica.member.up:
            check = f" ({replica.member.check})" if replica.member.check else ""
            look = _next_look(CHECK_LOOK, replica.member.since)
            yield Wait(look, f"{name} does not pass HAProxy's check yet{check}")
        elif replica.phase is Phase.WARMING:
            left = strategy.progress_deadline - replica.container.age(assessment.now)
            yield Wait(max(1.0, left), f"{name} is starting")
        elif replica.member and replica.taking_traffic and not replica.available(strategy.min_ready):
            left = strategy.min_ready - replica.member.since
            yield Wait(left, f"{name} has to stay ready for {left:.0f} s more")


def _next_look(first: float, since: float, deadline: float = inf) -> float:
    """Seconds until the next check of a wait that has lasted `since` seconds; never later than its deadline."""
    return max(first, min(since * LATE_BY, LONGEST_LOOK, deadline - since))


def _stop(replica: Replica, cause: Cause, cut: int = 0) -> StopContainer:
    grace = replica.workload.stop_grace
    return StopContainer.on(replica.container, cause, grace=grace, cut=cut, detail=replica.reason)


def _remove(replica: Replica, cause: Cause) -> RemoveContainer:
    # The next replica gets new volumes; those of this one would be left behind.
    return RemoveContainer.on(replica.container, cause, detail=replica.reason, anonymous=True)
