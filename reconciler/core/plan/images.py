"""Images are pulled first: until all images of the stack are present, the running containers keep serving.

A pull takes seconds or hours, and may fail. Until it is complete nothing is drained, stopped or replaced for a new
definition; dead containers are replaced if their image is present.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Final

from reconciler.core.assess.assessment import Assessment, assess
from reconciler.core.assess.cause import Cause
from reconciler.core.assess.instance import Phase
from reconciler.core.assess.observation import Observation, State
from reconciler.core.desired.stack import Role, Stack, Workload
from reconciler.core.plan.operations import (
    CreateProxy,
    CreateReplicas,
    Operation,
    PullImage,
    RecreateContainer,
    Wait,
)
from reconciler.core.plan.rotation import due_in
from reconciler.core.plan.strategies import Decision

PULL_LOOK: Final = 1.0
"""Seconds between two checks of an image that is being pulled."""

NEVER: Final = 1e9
"""Seconds until the next rotation is tried while no replacement can be created."""


def lacking(assessment: Assessment, decision: Decision) -> frozenset[str]:
    """The workloads of which containers have to be created from an image that is not there."""
    missing = assessment.observed.engine.missing_images
    return frozenset(
        w.name
        for w in assessment.stack.workloads
        if w.replicas and w.image in missing and not _is_complete(assessment, w, decision)
    )


def stand_still(assessment: Assessment, names: frozenset[str]) -> Assessment:
    """The same observation, assessed against the running definitions: none is outdated, and no fresh replicas are
    requested.

    Jobs are assessed as usual: a run for another revision does not prepare this one.
    """
    stack = assessment.stack
    as_wanted = (Role.WEB, Role.JOB)
    # One active replica stays the only one. Otherwise age is no reason any more, and of a rotation that has begun the new
    # replica is the surplus.
    rotation = stack.rotation if stack.is_single_active else None
    frozen = replace(
        stack,
        workloads=tuple(
            w if w.role in as_wanted else _with_what_runs(w, assessment) for w in stack.workloads
        ),
        strategy=replace(stack.strategy, paused=True),
        rotation=rotation and replace(rotation, interval=NEVER),
        rotated_at=None,
    )
    return replace(assess(frozen, assessment.observed, assessment.now), lacking=names)


def keeping(assessment: Assessment, decision: Decision) -> Decision:
    """The decision of a strategy while nothing new can be created: of what serves only a surplus leaves."""
    stack = assessment.stack
    # One that only some proxies have, because another has missed changes, may be all that this one has.
    there = sum(
        replica.available(stack.strategy.min_ready) or (replica.phase is Phase.READY and not replica.idle)
        for replica in assessment.replicas
    )
    return replace(decision, floor=max(decision.floor, min(stack.serving, there)))


def fetch(
    stack: Stack, observed: Observation, names: Collection[str], operations: Iterable[Operation]
) -> tuple[list[Operation], list[Operation | Wait]]:
    """The operations that can be done with the images that are there, and what gets the others."""
    images = {workload.name: workload.image for workload in stack.workloads}
    missing = observed.engine.missing_images
    able: list[Operation] = []
    wanted = {images[name] for name in names}
    for operation in operations:
        if (image := images.get(_maker(operation, stack, observed))) in missing and image is not None:
            wanted.add(image)
        else:
            able.append(operation)
    return able, [step for image in sorted(wanted) for step in _pull(image, observed)]


def _maker(operation: Operation, stack: Stack, observed: Observation) -> str:
    """The workload whose image an operation needs, if it needs one."""
    match operation:
        case CreateReplicas(workload=name) | CreateProxy(workload=name) | RecreateContainer(workload=name):
            return name
        case Operation(validates=True) if observed.proxy.written != observed.proxy.expected:
            return next((workload.name for workload in stack.of(Role.PROXY)), "")
    return ""


def _pull(image: str, observed: Observation) -> Iterator[Operation | Wait]:
    pull = observed.engine.pulls.get(image)
    told = f": {pull.error}" if pull and pull.error else ""
    if pull and pull.running:
        yield Wait(PULL_LOOK, f"image {image} is being pulled" + (f"; the try before{told}" if told else ""))
    elif pull and not pull.lasting and pull.again > 0:
        yield Wait(pull.again, f"image {image} cannot be pulled{told}")
    else:
        yield PullImage(image=image, cause=Cause.MISSING)


def _is_complete(assessment: Assessment, workload: Workload, decision: Decision) -> bool:
    """Whether nothing of a workload has to be created to be as the stack wants it."""
    if workload.role is Role.WEB:
        replicas, stack = assessment.replicas, assessment.stack
        paused = stack.strategy.paused
        useful = sum(r.workload is workload and r.useful and (r.current or paused) for r in replicas)
        wait = None if decision.gates.turns else due_in(stack, replicas, assessment.now)
        return useful >= workload.replicas and (wait is None or wait > 0)
    if workload.role in (Role.DEPENDENCY, Role.JOB):
        instances = assessment.of(workload)
        well = all(i.current and not i.is_detached for i in instances)
        return workload.done or (well and len(instances) >= workload.replicas)
    mine = assessment.observed.of(workload.name)
    usable = [c for c in mine if workload.accepts(c.revision) and c.state not in (State.EXITED, State.DEAD)]
    return len(usable) >= workload.replicas


def _with_what_runs(workload: Workload, assessment: Assessment) -> Workload:
    runs = {container.revision for container in assessment.observed.of(workload.name)}
    return replace(workload, revisions=workload.revisions | runs)
