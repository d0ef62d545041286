"""One-shot jobs: a migration, an init container.

A job runs beside the serving replicas: it does not empty the pool and holds no requests. New replicas wait for it, old ones
keep serving. Exit code 0 completes it, and it is never started again; progress.py handles other exit codes. There is never
a second run beside the first one, so a job of a former revision may use the time that it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from reconciler.core.assess.cause import Cause
from reconciler.core.assess.instance import Instance, Phase
from reconciler.core.assess.observation import ENDED, State
from reconciler.core.desired.stack import Workload
from reconciler.core.plan.operations import (
    CreateReplicas,
    Operation,
    RemoveContainer,
    StartContainer,
    StopContainer,
    Wait,
)

JOB_LOOK: Final = 5.0
"""Seconds between two checks of a running job; an event usually reports its end sooner."""


def plan_job(
    workload: Workload, instances: Sequence[Instance], unmet: Sequence[str], wait: float
) -> Iterable[Operation | Wait]:
    """Wait for former runs to end, then create the one of this revision. `unmet`: what it needs and is not ready; `wait`:
    seconds until one that failed may be tried again.
    """
    former = [instance for instance in instances if not instance.current]
    present = [instance for instance in instances if instance.current]
    yield from _clear(workload, former, Cause.OUTDATED)
    yield from _clear(workload, present[workload.replicas :], Cause.SURPLUS)
    missing = workload.replicas - len(present)
    if workload.done:
        return
    if unmet and (missing or any(instance.phase is Phase.CREATED for instance in present)):
        yield Wait(JOB_LOOK, f"{workload.name} waits for {', '.join(unmet)}")
        return
    if missing > 0 and all(instance.container.state in ENDED for instance in former):
        yield CreateReplicas(
            workload=workload.name,
            count=missing,
            existing=len(present),
            cause=Cause.OUTDATED if former else Cause.MISSING,
            detail=workload.revision,
        )
    for instance in present[: workload.replicas]:
        yield from _run(workload, instance, wait)


def _clear(workload: Workload, instances: Sequence[Instance], cause: Cause) -> Iterable[Operation | Wait]:
    for instance in instances:
        container = instance.container
        if container.state in ENDED:
            yield RemoveContainer.on(container, cause)
        elif container.stopping or container.state is State.REMOVING:
            yield Wait(JOB_LOOK, f"{container.name} of another revision is ending")
        elif instance.phase is Phase.WARMING:
            yield Wait(JOB_LOOK, f"{container.name} of another revision is still running")
        else:
            yield StopContainer.on(container, cause, grace=workload.stop_grace, detail=instance.reason)


def _run(workload: Workload, instance: Instance, wait: float) -> Iterable[Operation | Wait]:
    container = instance.container
    if instance.phase is Phase.CREATED:
        yield StartContainer.on(container, Cause.MISSING)
    elif instance.is_detached and container.state in ENDED and not wait:
        # The owner of its namespace is gone, so that no start succeeds; the next pass creates it again.
        yield RemoveContainer.on(container, Cause.DETACHED)
    elif instance.phase is Phase.DEAD and container.state in ENDED and not wait:
        yield StartContainer.on(container, Cause.DEAD, detail=instance.reason)
    elif instance.phase is Phase.DEAD:
        yield Wait(wait or JOB_LOOK, f"{workload.name} {instance.reason}")
    elif not instance.is_well:
        yield Wait(JOB_LOOK, f"{workload.name} {instance.reason or 'is running'}")
