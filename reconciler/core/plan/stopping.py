"""What a stopped stack does with the workloads beside its web replicas, and how they are known when it is started again.

They are stopped and not removed, because a volume without a name belongs to one container only. Each is stopped after all
that need it, so that the last requests of web replicas still find their database.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.instance import Phase
from reconciler.core.assess.observation import ENDED, Container, State
from reconciler.core.desired.stack import Role, Workload
from reconciler.core.plan.operations import END_LOOK, Operation, Step, StopContainer, Wait

JOB_LOOK: Final = 5.0
"""Seconds between two looks at a job that runs; an event usually reports its end sooner."""


def plan_stop(assessment: Assessment) -> Step:
    """The next stops. A job is not interrupted before its deadline: what it has half done may not be repeatable."""
    return Step.of(
        chain.from_iterable(_stop(assessment, w) for w in assessment.stack.of(Role.DEPENDENCY, Role.JOB))
    )


def _stop(assessment: Assessment, workload: Workload) -> Iterator[Operation | Wait]:
    running = [i for i in assessment.of(workload) if i.phase is not Phase.STOPPING]
    if running and (waits_for := _still_needed(assessment, workload)):
        yield Wait(END_LOOK, f"{workload.name} is stopped after {waits_for}")
        return
    for instance in running:
        container = instance.container
        if workload.role is Role.JOB and instance.phase is Phase.WARMING:
            yield Wait(JOB_LOOK, f"{workload.name} is stopped when it has ended")
        elif container.state is not State.REMOVING:
            yield StopContainer.on(container, Cause.STOPPED, grace=workload.stop_grace)


def _still_needed(assessment: Assessment, workload: Workload) -> str:
    """What runs and needs this workload: the first one's name."""
    for other in assessment.stack.workloads:
        needs = {*other.needs, other.joins, *other.shares}
        lives = any(i.phase is not Phase.DEAD or i.container.state not in ENDED for i in assessment.of(other))
        if other is not workload and workload.name in needs and lives:
            return other.name
    # Of a service that the fragment no longer has, it is unknown what it needs.
    gone = (
        r.container.name for r in assessment.replicas if r.live and r.workload not in assessment.stack.web
    )
    return next(gone, "")


def was_stopped(assessment: Assessment, container: Container) -> bool:
    """Whether a container that has ended was stopped with its stack, so that its end is no death: it ended before any of
    the present replicas was created, or with all others.
    """
    if assessment.replicas:
        born = min(replica.container.created for replica in assessment.replicas)
        return container.ended is not None and container.ended <= born
    beside = (i for i in assessment.others if i.workload.role in (Role.DEPENDENCY, Role.JOB))
    return all(instance.container.state in ENDED for instance in beside)
