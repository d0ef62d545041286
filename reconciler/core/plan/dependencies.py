"""The workloads beside the web replicas: databases and caches that they need, and workers that need them.

They hold data, so there is never a second container beside the first: a changed dependency is stopped and recreated in
place with its volumes, while the proxy holds the requests. A dependency that exited is started again. jobs.py handles
one-shot jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Final

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.history import History
from reconciler.core.assess.instance import Instance, Phase
from reconciler.core.assess.moved import kept_image
from reconciler.core.assess.observation import ENDED, Container, State
from reconciler.core.assess.pool import Member
from reconciler.core.desired.stack import DEFAULT_STOP_GRACE, Role, Stack, Workload
from reconciler.core.plan.jobs import plan_job
from reconciler.core.plan.operations import (
    END_LOOK,
    CreateReplicas,
    Operation,
    RecreateContainer,
    RemoveContainer,
    StartContainer,
    Step,
    StopContainer,
    Wait,
)
from reconciler.core.plan.stopping import was_stopped
from reconciler.core.plan.strategies import Decision

NO_EVENT_LOOK: Final = 5.0
"""Seconds between two checks of a starting dependency; an event usually arrives sooner."""


@dataclass(frozen=True, slots=True)
class DependencyStep:
    """The next step of all workloads but the web ones.

    `may_start`: all that new web replicas need is ready. `may_serve`: what those need that serve already is; a job that
    prepares the next revision is not part of it. `hold`: a dependency that is in use is being changed, so that the pool
    has to be empty.
    """

    step: Step
    may_start: bool
    may_serve: bool
    hold: bool


def plan_dependencies(
    assessment: Assessment, history: History, decision: Decision, *, can_hold: bool = True
) -> DependencyStep:
    """Start missing containers in the order of needs, replace outdated ones once the pool is drained.

    Without a proxy that can hold requests an empty pool would answer none of them, so it is not emptied.
    """
    stack, members = assessment.stack, assessment.members
    if not stack.of(Role.DEPENDENCY, Role.JOB):
        return DependencyStep(Step(), may_start=True, may_serve=True, hold=False)
    web = frozenset(workload.name for workload in stack.web)
    # What sleeps is woken by a request, so it can be relied on.
    is_relied_on = stack.is_asleep or assessment.relied_on >= decision.enough
    ready = set(web) if is_relied_on else set()
    steps: list[Operation | Wait] = []
    needed = _needed_by_web(stack)
    hold = False
    # The sessions of a proxy that does not answer are unknown; it is replaced before a dependency is changed.
    # Beyond the time for which requests can be held, waiting for a session costs all others.
    longest = min(stack.strategy.drain, stack.proxy.patience)
    # A HAProxy that crashed serves again with what its file says, before a pass sees it.
    written = assessment.observed.proxy.configured
    quiet = not (assessment.silent or written) and all(_is_quiet(each, longest) for each in members.values())
    for workload in _in_order(stack):
        instances = assessment.of(workload)
        unmet = [name for name in workload.needs if name not in ready]
        wait = history.wait_before_replacing(workload.name, workload.replicas, assessment.now)
        if assessment.is_complete(workload):
            ready.add(workload.name)
        if workload.role is Role.JOB and assessment.lacking:
            # It prepares a revision that may never be rolled out.
            continue
        if workload.role is Role.JOB:
            steps += plan_job(workload, instances, unmet, wait)
            continue
        if workload.name in ready:
            steps += _proof(workload, instances)
            continue
        is_replaceable = workload.name not in assessment.lacking
        changing = [i for i in instances if is_replaceable and (not i.current or i.is_detached)]
        if changing and web.isdisjoint(unmet):
            in_use = any(i.phase is Phase.READY or i.is_detached for i in changing)
            if can_hold and in_use and workload.name in needed and (members or written or assessment.silent):
                hold = True
                if not quiet:
                    continue
            step = list(_change(assessment, workload, changing))
        else:
            step = list(_complete(assessment, workload, instances, unmet, wait))
        steps += step or [Wait(wait or NO_EVENT_LOOK, _explain(workload, instances, unmet))]
    return DependencyStep(
        Step.of(steps),
        may_start=all(ready.issuperset(set(workload.needs) - web) for workload in stack.web),
        may_serve=ready.issuperset(_needed_to_serve(stack)),
        hold=hold,
    )


def _proof(workload: Workload, instances: Sequence[Instance]) -> Iterable[Wait]:
    for left in (instance.unproven for instance in instances if instance.unproven):
        yield Wait(left, f"{workload.name} has to stay up for {left:.0f} s more")


def _change(assessment: Assessment, workload: Workload, changing: Sequence[Instance]) -> Iterable[Operation]:
    """Stop an outdated container; once it has exited, create the new one in its place."""
    if any(instance.is_detached and workload.accepts(instance.container.revision) for instance in changing):
        # Disconnected from a network: a restart would not reconnect it, and once stopped this can no longer be observed.
        yield RecreateContainer(
            workload=workload.name,
            image=_kept_image(assessment, workload, changing),
            cause=Cause.DETACHED,
            detail=workload.revision,
        )
        return
    # One that only changes its node keeps the definition, and the image that its tag meant.
    accepted = all(workload.accepts(instance.container.revision) for instance in changing)
    cause = Cause.NODE if accepted else Cause.OUTDATED
    for container in (instance.container for instance in changing):
        if container.state in (State.RUNNING, State.PAUSED, State.RESTARTING):
            if not container.stopping:
                yield StopContainer.on(container, cause, grace=workload.stop_grace)
            return
    if all(instance.container.state in ENDED for instance in changing):
        image = _kept_image(assessment, workload, changing)
        yield RecreateContainer(workload=workload.name, image=image, cause=cause, detail=workload.revision)


def _kept_image(assessment: Assessment, workload: Workload, instances: Sequence[Instance]) -> str:
    return kept_image(assessment.observed.engine, workload, (instance.container for instance in instances))


def _complete(
    assessment: Assessment,
    workload: Workload,
    instances: Sequence[Instance],
    unmet: Sequence[str],
    wait: float,
) -> Iterable[Operation]:
    """Create missing containers, start exited ones, remove surplus ones. Needs have to be ready first, unless it ran
    before.
    """
    missing = workload.replicas - len(instances)
    if missing > 0 and not unmet:
        yield CreateReplicas(
            workload=workload.name,
            count=missing,
            existing=len(instances),
            image=_kept_image(assessment, workload, instances),
            cause=Cause.MISSING,
            detail=workload.revision,
        )
    for instance in instances[: workload.replicas]:
        if instance.phase is Phase.CREATED and not unmet:
            yield StartContainer.on(instance.container, Cause.MISSING)
        # The engine restarts this one itself.
        elif instance.phase is Phase.DEAD and instance.container.state in ENDED and not wait:
            if was_stopped(assessment, instance.container):
                if not unmet:
                    yield StartContainer.on(instance.container, Cause.MISSING)
            else:
                yield StartContainer.on(instance.container, Cause.DEAD, detail=instance.reason)
    for container in (instance.container for instance in instances[workload.replicas :]):
        if container.state is State.RUNNING and not container.stopping:
            yield StopContainer.on(container, Cause.SURPLUS, grace=workload.stop_grace)
        elif container.state in ENDED:
            yield RemoveContainer.on(container, Cause.SURPLUS)


def _explain(workload: Workload, instances: Sequence[Instance], unmet: Sequence[str]) -> str:
    """The unmet needs of a workload, with their reasons."""
    if unmet:
        return f"{workload.name} waits for {', '.join(unmet)}"
    reason = next((instance.reason for instance in instances if instance.reason), "")
    return f"{workload.name} is not ready: {reason}" if reason else f"{workload.name} is not ready yet"


def plan_orphans(assessment: Assessment) -> Step:
    """End the containers of services that the stack no longer has; web replicas among them leave by the pool, and a former
    front door when the present one serves.
    """
    steps: list[Operation | Wait] = []
    for container in assessment.orphans:
        if container.role is Role.WEB:
            continue
        if container.state in ENDED:
            steps.append(RemoveContainer.on(container, Cause.ORPHAN))
        elif container.state is not State.REMOVING and not container.stopping:
            if reason := _still_serves(container, assessment):
                steps.append(Wait(END_LOOK, reason))
                continue
            of_proxy = assessment.stack.strategy.drain if container.role is Role.PROXY else 0.0
            grace = max(DEFAULT_STOP_GRACE, of_proxy)
            steps.append(StopContainer.on(container, Cause.ORPHAN, grace=grace))
    return Step.of(steps)


def _still_serves(container: Container, assessment: Assessment) -> str:
    """Why a container of a former front door is kept, if it is one: requests may still come through it. One that has a port
    which the present front door waits for cannot be kept.
    """
    routed = assessment.stack.routed
    if container.role not in (Role.PROXY, Role.GATEWAY) or routed is None:
        return ""
    if any(not each.published.isdisjoint(routed.ports) for each in assessment.orphans):
        return ""
    # Of a stopped service the gateway itself answers requests.
    answered = assessment.relied_on or assessment.stack.is_stopped
    if assessment.observed.proxy.awaited or not assessment.slots or not answered:
        return f"{container.name} serves until the gateway of the routes does"
    lives = (c for c in assessment.orphans if c.joined == container.id and c.state not in ENDED)
    return next(
        (f"{container.name} is left to {each.name}, which ends its connections" for each in lives), ""
    )


def _in_order(stack: Stack) -> Iterable[Workload]:
    mine = {workload.name: workload for workload in stack.of(Role.DEPENDENCY, Role.JOB)}
    graph = {name: [other for other in workload.needs if other in mine] for name, workload in mine.items()}
    return [mine[name] for name in TopologicalSorter(graph).static_order()]


def _needed_by_web(stack: Stack) -> frozenset[str]:
    """Everything that a web workload needs, directly or through something else."""
    return _reached(stack, through=frozenset(Role))


def _needed_to_serve(stack: Stack) -> frozenset[str]:
    """The dependencies of replicas that serve already: a job is replaced by its own dependencies."""
    roles = {workload.name: workload.role for workload in stack.workloads}
    found = _reached(stack, through=frozenset({Role.JOB}))
    return frozenset(name for name in found if roles[name] is Role.DEPENDENCY)


def _reached(stack: Stack, through: frozenset[Role]) -> frozenset[str]:
    """What web workloads need, and what that needs in turn where it has one of the roles `through`."""
    workloads = {workload.name: workload for workload in stack.workloads}
    found: set[str] = set()
    queue = [name for workload in stack.web for name in workload.needs]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue.extend(workloads[name].needs if workloads[name].role in through else ())
    return frozenset(found)


def _is_quiet(member: Member, longest: float) -> bool:
    return member.draining and (member.sessions == 0 or member.since >= longest)
