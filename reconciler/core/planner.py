"""One pass, read from top to bottom: what is wanted, what runs, and the next safe operations between them."""

from __future__ import annotations

from reconciler.core.dependencies import plan_dependencies, plan_orphans
from reconciler.core.history import History
from reconciler.core.ingress import plan_ingress
from reconciler.core.judged import Judged
from reconciler.core.observed import Observed, State
from reconciler.core.plan import (
    END_LOOK,
    Cause,
    CreateProxy,
    CreateReplicas,
    Operation,
    Plan,
    PullImage,
    RecreateContainer,
    Step,
    Wait,
)
from reconciler.core.rollout import plan_web
from reconciler.core.stack import Stack


def plan(judged: Judged, history: History) -> Plan:
    """The operations that are safe now. Pure and deterministic: the same arguments give the same plan."""
    stack, observed = judged.stack, judged.observed
    dependencies = plan_dependencies(judged, history)
    web = plan_web(
        judged,
        history,
        may_start=dependencies.may_start,
        may_serve=dependencies.may_serve,
        hold=dependencies.hold,
    )
    ingress = plan_ingress(judged, web.servers)
    if ingress.blocked and not observed.engine.containers:
        return Plan(blocked=ingress.blocked, requeue_after=ingress.step.requeue_after)

    steps = (dependencies.step, ingress.step, web.step, plan_orphans(stack, observed), _endings(observed))
    operations = [operation for step in steps for operation in step.operations]
    return Plan(
        operations=(*_pulls(stack, observed, operations), *operations),
        waiting=tuple(reason for step in steps for reason in step.waiting),
        blocked=ingress.blocked,
        requeue_after=_soonest(steps),
    )


def _endings(observed: Observed) -> Step:
    """Nothing is complete while something ends; an event tells when it has, unless that is lost."""
    ended = (State.CREATED, State.EXITED, State.DEAD)
    ending = (c for c in observed.engine.containers if c.stopping and c.state not in ended)
    return Step.of(Wait(END_LOOK, f"{name} is stopping") for name in sorted(c.name for c in ending))


def _pulls(stack: Stack, observed: Observed, operations: list[Operation]) -> list[Operation]:
    """Images come before anything that needs them."""
    images = {workload.name: workload.image for workload in stack.workloads}
    users = {
        o.workload for o in operations if isinstance(o, CreateReplicas | CreateProxy | RecreateContainer)
    }
    if observed.proxy.written != observed.proxy.expected:
        # Its own image judges a configuration of a new structure.
        users.add(stack.haproxy.name)
    wanted = {images[name] for name in users} & observed.engine.missing_images
    return [PullImage(image=image, cause=Cause.MISSING) for image in sorted(wanted)]


def _soonest(steps: tuple[Step, ...]) -> float | None:
    return min((step.requeue_after for step in steps if step.requeue_after is not None), default=None)
