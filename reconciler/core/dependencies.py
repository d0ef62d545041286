"""What the web replicas need: databases, caches, one-shot jobs.

They hold data, so there is never a second one beside the first: a changed dependency is stopped and recreated in place,
volumes and all, while HAProxy holds the requests. A dependency that merely ended is started again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Final

from reconciler.core.history import History
from reconciler.core.judged import Judged
from reconciler.core.observed import Container, Observed, State
from reconciler.core.plan import (
    Cause,
    CreateReplicas,
    Operation,
    RecreateContainer,
    RemoveContainer,
    StartContainer,
    Step,
    StopContainer,
    Wait,
)
from reconciler.core.pool import Member
from reconciler.core.stack import DEFAULT_STOP_GRACE, Role, Stack, Workload

NO_EVENT_LOOK: Final = 5.0
"""Seconds between two looks at a dependency that is starting; an event comes sooner unless it was lost."""


@dataclass(frozen=True, slots=True)
class DependencyStep:
    """The next step of all dependencies.

    `ready` names those that web replicas can rely on; `hold` says that one of them is being changed, so that the pool
    has to be empty.
    """

    step: Step
    ready: frozenset[str]
    hold: bool

    def satisfies(self, workload: Workload) -> bool:
        """Whether everything that a workload needs is ready."""
        return self.ready.issuperset(workload.needs)


def plan_dependencies(judged: Judged, history: History) -> DependencyStep:
    """Start what is missing in the order of needs, replace what is outdated once the pool is quiet."""
    stack, observed, members = judged.stack, judged.observed, judged.members
    ready: set[str] = set()
    steps: list[Operation | Wait] = []
    needed = _needed_by_web(stack)
    hold = False
    # Nobody can see what a HAProxy that does not answer does; it is replaced, and then what it needs is changed.
    quiet = not judged.silent and all(_is_quiet(member, stack.strategy.drain) for member in members.values())
    for workload in _in_order(stack):
        containers = observed.of(workload.name)
        if all(_is_ready(c, workload) for c in containers) and len(containers) == workload.replicas:
            ready.add(workload.name)
            continue
        if not ready.issuperset(workload.needs) and not containers:
            continue
        changing = [c for c in containers if not _is_up_to_date(c, workload)]
        if changing and workload.name in needed and (members or judged.silent):
            hold = True
            if not quiet:
                continue
        wait = history.wait_before_replacing(workload.name, workload.replicas, judged.now)
        step = (
            list(_change(workload, containers, changing))
            if changing
            else list(_complete(workload, containers, wait))
        )
        steps += step or [Wait(wait or NO_EVENT_LOOK, f"{workload.name} is not ready yet")]
    return DependencyStep(Step.of(steps), frozenset(ready), hold)


def _change(
    workload: Workload, containers: Sequence[Container], changing: Sequence[Container]
) -> Iterable[Operation]:
    """Stop what is outdated; once it has ended, put the new one in its place."""
    if any(workload.accepts(c.revision) and not c.stopping for c in changing):
        # Disconnected from a network: started again it would still be, and ended it would look as if it were not.
        yield RecreateContainer(workload=workload.name, cause=Cause.DETACHED, detail=workload.revision)
        return
    for container in changing:
        if container.state in (State.RUNNING, State.PAUSED, State.RESTARTING):
            if not container.stopping:
                yield StopContainer.on(container, Cause.OUTDATED, grace=workload.stop_grace)
            return
    if all(container.state in (State.EXITED, State.CREATED, State.DEAD) for container in changing):
        yield RecreateContainer(workload=workload.name, cause=Cause.OUTDATED, detail=workload.revision)


def _complete(workload: Workload, containers: Sequence[Container], wait: float) -> Iterable[Operation]:
    """Create what is missing, start what has ended, remove what is too much."""
    missing = workload.replicas - len(containers)
    if missing > 0:
        yield CreateReplicas(
            workload=workload.name,
            count=missing,
            existing=len(containers),
            cause=Cause.MISSING,
            detail=workload.revision,
        )
    for container in containers[: workload.replicas]:
        died = container.state in (State.EXITED, State.DEAD)
        if container.state is State.CREATED or (died and not wait and not _is_complete(container, workload)):
            detail = f"exited with code {container.exit_code}" if died else ""
            yield StartContainer.on(container, Cause.DEAD if died else Cause.MISSING, detail=detail)
    for container in containers[workload.replicas :]:
        if container.state is State.RUNNING and not container.stopping:
            yield StopContainer.on(container, Cause.SURPLUS, grace=workload.stop_grace)
        elif container.state in (State.EXITED, State.CREATED, State.DEAD):
            yield RemoveContainer.on(container, Cause.SURPLUS)


def plan_orphans(stack: Stack, observed: Observed) -> Step:
    """End the containers of services that the stack no longer has; web replicas among them leave by the pool."""
    names = {workload.name for workload in stack.workloads}
    operations: list[Operation] = []
    for container in sorted(observed.engine.containers, key=lambda c: c.age_key):
        if container.workload in names or container.role is Role.WEB:
            continue
        if container.state in (State.CREATED, State.EXITED, State.DEAD):
            operations.append(RemoveContainer.on(container, Cause.ORPHAN))
        elif container.state is not State.REMOVING and not container.stopping:
            operations.append(StopContainer.on(container, Cause.ORPHAN, grace=DEFAULT_STOP_GRACE))
    return Step(tuple(operations))


def _in_order(stack: Stack) -> Iterable[Workload]:
    mine = {workload.name: workload for workload in stack.of(Role.DEPENDENCY)}
    graph = {name: [other for other in workload.needs if other in mine] for name, workload in mine.items()}
    return [mine[name] for name in TopologicalSorter(graph).static_order()]


def _needed_by_web(stack: Stack) -> frozenset[str]:
    """Everything that a web workload needs, directly or through something else."""
    needs = {workload.name: workload.needs for workload in stack.workloads}
    found: set[str] = set()
    queue = [name for workload in stack.web for name in workload.needs]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue.extend(needs[name])
    return frozenset(found)


def _is_quiet(member: Member, drain: float) -> bool:
    return member.draining and (member.sessions == 0 or member.since >= drain)


def _is_up_to_date(container: Container, workload: Workload) -> bool:
    attached = container.state is not State.RUNNING or workload.networks <= set(container.addresses)
    return workload.accepts(container.revision) and attached


def _is_complete(container: Container, workload: Workload) -> bool:
    return workload.one_shot and container.state is State.EXITED and container.exit_code == 0


def _is_ready(container: Container, workload: Workload) -> bool:
    if not _is_up_to_date(container, workload) or container.stopping:
        return False
    if workload.one_shot:
        return _is_complete(container, workload)
    return container.is_ready
