"""One pass, read from top to bottom: what is wanted, what runs, and the next safe operations between them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from reconciler.core.dependencies import plan_dependencies, plan_orphans
from reconciler.core.health import judge_replicas
from reconciler.core.history import History
from reconciler.core.ingress import plan_ingress
from reconciler.core.observed import Observed
from reconciler.core.plan import (
    Cause,
    CreateProxy,
    CreateReplicas,
    Operation,
    Plan,
    PullImage,
    RecreateContainer,
    Step,
)
from reconciler.core.pool import Member, is_all_known, merge
from reconciler.core.rollout import Pool, plan_web
from reconciler.core.stack import Stack


def plan(stack: Stack, observed: Observed, history: History, now: datetime) -> Plan:
    """The operations that are safe now. Pure and deterministic: the same arguments give the same plan."""
    members = merge(observed.proxy.instances)
    dependencies = plan_dependencies(stack, observed, members, history, now)
    may_start = all(dependencies.satisfies(workload) for workload in stack.web)
    web = plan_web(_pool(stack, observed, members, now), history, may_start=may_start, hold=dependencies.hold)
    ingress = plan_ingress(stack, observed, web.servers, now)
    if ingress.blocked and not observed.engine.containers:
        return Plan(blocked=ingress.blocked)

    steps = (dependencies.step, ingress.step, web.step, plan_orphans(stack, observed))
    operations = [operation for step in steps for operation in step.operations]
    return Plan(
        operations=(*_pulls(stack, observed, operations), *operations),
        waiting=tuple(reason for step in steps for reason in step.waiting),
        blocked=ingress.blocked,
        requeue_after=_soonest(steps),
    )


def _pool(stack: Stack, observed: Observed, members: Mapping[str, Member], now: datetime) -> Pool:
    answering = {instance.container for instance in observed.proxy.instances if instance.answering}
    slots = (c.slot for c in observed.engine.containers if c.id in answering and c.slot is not None)
    replicas = judge_replicas(stack, observed.engine.containers, members, now)
    known = is_all_known(stack.haproxy.name, observed, now)
    return Pool(stack, replicas, members, tuple(sorted(slots)), known, now)


def _pulls(stack: Stack, observed: Observed, operations: list[Operation]) -> list[Operation]:
    """Images come before anything is stopped for them."""
    images = {workload.name: workload.image for workload in stack.workloads}
    creating = (
        o.workload for o in operations if isinstance(o, CreateReplicas | CreateProxy | RecreateContainer)
    )
    wanted = {images[name] for name in creating} & observed.engine.missing_images
    return [PullImage(image=image, cause=Cause.MISSING) for image in sorted(wanted)]


def _soonest(steps: tuple[Step, ...]) -> float | None:
    return min((step.requeue_after for step in steps if step.requeue_after is not None), default=None)
