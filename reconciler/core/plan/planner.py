"""One pass, from top to bottom: from the assessment to the next safe operations."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.history import History
from reconciler.core.assess.observation import ENDED, Observation
from reconciler.core.assess.sleep import sleeps_in
from reconciler.core.plan.dependencies import DependencyStep, plan_dependencies, plan_orphans
from reconciler.core.plan.front import FrontDoor
from reconciler.core.plan.images import fetch, keeping, lacking, stand_still
from reconciler.core.plan.operations import END_LOOK, Plan, Step, Wait
from reconciler.core.plan.rollout import plan_web
from reconciler.core.plan.stopping import plan_stop
from reconciler.core.plan.strategies import decide

SLEEP_LOOK: Final = 1.0
"""The fewest seconds between two looks whether a service may sleep."""


def plan(assessment: Assessment, history: History, front: FrontDoor) -> Plan:
    """The operations that are safe now. Pure and deterministic: the same arguments give the same plan.

    `front` is what serves the pool, and what it can do is all that is asked of it.
    """
    stack, observed = assessment.stack, assessment.observed
    decision = decide(assessment)
    if without_image := lacking(assessment, decision):
        assessment = stand_still(assessment, without_image)
        decision = keeping(assessment, decide(assessment))
    if not front.capabilities.weights:
        decision = replace(decision, weights={})
    if stack.is_stopped:
        dependencies = DependencyStep(plan_stop(assessment), may_start=False, may_serve=True, hold=False)
    else:
        dependencies = plan_dependencies(assessment, history, decision, can_hold=front.capabilities.hold)
    web = plan_web(
        assessment,
        history,
        decision,
        may_start=dependencies.may_start,
        may_serve=dependencies.may_serve,
        hold=dependencies.hold,
    )
    door = front.steps(assessment, web.servers, web.weights)
    if door.blocked and not observed.engine.containers:
        return Plan(blocked=door.blocked, requeue_after=door.step.requeue_after)

    steps = (
        dependencies.step,
        door.step,
        web.step,
        plan_orphans(assessment),
        endings(observed),
        falling_asleep(assessment),
    )
    planned = [operation for step in steps for operation in step.operations]
    able, pulls = fetch(stack, observed, without_image, planned)
    pulling = Step.of(pulls)
    return Plan(
        operations=(*able, *pulling.operations),
        waiting=tuple(reason for step in (*steps, pulling) for reason in step.waiting),
        blocked=door.blocked,
        asleep=f"no request for {stack.idle:g} s" if stack.is_asleep else "",
        requeue_after=soonest((*steps, pulling)),
    )


def endings(observed: Observation) -> Step:
    """A stack is not complete while a container is stopping; an event usually reports its end."""
    ending = (c for c in observed.engine.containers if c.stopping and c.state not in ENDED)
    return Step.of(Wait(END_LOOK, f"{name} is stopping") for name in sorted(c.name for c in ending))


def falling_asleep(assessment: Assessment) -> Step:
    """No event tells that there was no request."""
    left = sleeps_in(assessment.stack, assessment.observed)
    return Step() if left is None else Step(requeue_after=max(left, SLEEP_LOOK))


def soonest(steps: tuple[Step, ...]) -> float | None:
    """The seconds until the next pass that one of these steps asks for."""
    return min((step.requeue_after for step in steps if step.requeue_after is not None), default=None)
