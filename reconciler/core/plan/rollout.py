"""The next step of the pool as a whole, and which replicas to create and start.

A rollout is a fixpoint and not a procedure: each pass assesses every replica and takes the next step, from any state.
Scaling, healing, updates and rotation use the same arithmetic with different causes:

- new replicas fill the pool up to N + surge containers,
- they join it as soon as they are ready (membership.py),
- old ones leave it while at least N - unavailable others take traffic (leaving.py),
- nothing is stopped before every proxy said that it has no session, or its drain deadline has passed (retiring.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.health import Replica
from reconciler.core.assess.history import History
from reconciler.core.assess.instance import ENDING, Phase
from reconciler.core.assess.moved import kept_image
from reconciler.core.assess.observation import DEFAULT_WEIGHT
from reconciler.core.plan.leaving import leaving
from reconciler.core.plan.looks import CHECK_LOOK, next_look
from reconciler.core.plan.membership import admit, empty, is_served, left_to_hold, servers_of, weigh
from reconciler.core.plan.operations import (
    CreateReplicas,
    Operation,
    StartContainer,
    Step,
    Wait,
)
from reconciler.core.plan.retiring import bury, forget_servers, retire
from reconciler.core.plan.rotation import due_in
from reconciler.core.plan.strategies import Decision


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
    kept = [r for r in assessment.replicas if r.phase not in ENDING and r not in retiring]
    steps: list[Operation | Wait] = [*forget_servers(assessment), *bury(dead, assessment.stack)]
    if hold:
        steps += empty(assessment, kept)
    elif may_serve or is_served(assessment) or (left := left_to_hold(assessment, kept)) <= 0:
        # A pool that was emptied for a dependency stays empty until that is ready; serving replicas are not affected.
        steps += admit(assessment, decision, kept)
        steps += weigh(assessment, decision, kept)
    elif left < inf:
        steps.append(Wait(left))
    steps += retire(assessment, retiring)
    if may_start:
        steps += _start(kept)
    if may_start or (not assessment.replicas and assessment.observed.engine.capabilities.creates_stopped):
        # The first replicas can be created before their dependencies are ready.
        steps += _create(assessment, history, decision, retiring, dead)
    steps += _explain(assessment, kept)
    if decision.wait is not None:
        steps.append(Wait(decision.wait))
    servers = {} if hold else servers_of(assessment, kept, steps)
    weights = {
        name: weight
        for name, weight in decision.weights.items()
        if name in servers and weight != DEFAULT_WEIGHT
    }
    return WebStep(Step.of(steps), servers, weights)


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
    room = stack.replicas + decision.surge - len(assessment.live)
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
        causes = (
            (Cause.OUTDATED, any(not r.current and not r.asked for r in mine)),
            (Cause.NODE, any(r.is_moving for r in mine)),
            (Cause.ROTATION, rotated),
            (Cause.WOKEN, _is_woken(assessment)),
        )
        yield CreateReplicas(
            workload=workload.name,
            count=count,
            existing=len(mine) - removed,
            image=kept_image(assessment.observed.engine, workload, (r.container for r in mine if r.live)),
            cause=next((cause for cause, applies in causes if applies), Cause.MISSING),
            detail=f"{useful} of {workload.replicas} of {workload.revision}",
        )


def _is_woken(assessment: Assessment) -> bool:
    """Whether requests wait for a service that was asleep."""
    activity = assessment.observed.proxy.activity
    return not assessment.replicas and activity is not None and activity.open > 0


def _explain(assessment: Assessment, kept: Sequence[Replica]) -> Iterator[Wait]:
    """Report the waits, and set a requeue time for those without an event."""
    strategy, rotated_at = assessment.stack.strategy, assessment.stack.rotated_at
    if rotated_at and rotated_at > assessment.now:
        yield Wait((rotated_at - assessment.now).total_seconds())
    for replica in kept:
        name = replica.container.name
        if replica.in_pool and replica.member and not replica.member.up:
            check = f" ({replica.member.check})" if replica.member.check else ""
            look = next_look(CHECK_LOOK, replica.member.since)
            yield Wait(look, f"{name} does not pass HAProxy's check yet{check}")
        elif replica.phase is Phase.WARMING:
            left = strategy.progress_deadline - replica.container.age(assessment.now)
            yield Wait(max(1.0, left), f"{name} is starting")
        elif replica.member and replica.taking_traffic and not replica.available(strategy.min_ready):
            left = strategy.min_ready - replica.member.since
            yield Wait(left, f"{name} has to stay ready for {left:.0f} s more")
