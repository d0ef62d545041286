"""What one container of any workload is good for: where it is in its life, and in a few words why.

Replicas of the pool, databases, jobs and HAProxy's own containers are all judged here, once in a pass, so that the plan,
the differences, the metrics and the end of a rollout never tell different stories.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from reconciler.core.assess.observed import Container, Health, State
from reconciler.core.desired.stack import Role, Workload

DETACHED: Final = "detached from network"


class Phase(StrEnum):
    """Where an instance is in its life, whatever its revision."""

    CREATED = "created"
    WARMING = "warming"
    READY = "ready"
    COMPLETE = "complete"
    UNHEALTHY = "unhealthy"
    STOPPING = "stopping"
    DEAD = "dead"


@dataclass(frozen=True, eq=False)
class Instance:
    """One container with its judgement; `reason` says in a few words what is wrong with it.

    `current`: it runs the current definition and may stay. Compared by identity: a pass judges each container once.
    """

    container: Container
    workload: Workload
    phase: Phase
    current: bool
    reason: str = ""

    @property
    def is_well(self) -> bool:
        """Whether it does what it is there for, or has done it."""
        return self.current and self.phase in (Phase.READY, Phase.COMPLETE)

    @property
    def is_detached(self) -> bool:
        """Whether it runs and lacks a network of its definition."""
        return self.phase is Phase.UNHEALTHY and self.reason.startswith(DETACHED)


def judge_instance(container: Container, workload: Workload, deadline: float, now: datetime) -> Instance:
    """Judge one container; `deadline` is in how many seconds from its start it has to become ready."""
    # A clock that was set back gives no more time than that.
    phase, reason = phase_of(container, workload, in_time=abs(container.age(now)) < deadline)
    return Instance(container, workload, phase, workload.accepts(container.revision), reason)


def phase_of(container: Container, workload: Workload, *, in_time: bool) -> tuple[Phase, str]:
    """The phase and its reason, as far as the engine alone can tell. `in_time`: it may still become ready."""
    match container.state:
        case State.EXITED | State.DEAD | State.RESTARTING:
            has_ended = workload.one_shot and container.state is State.EXITED and not container.stopping
            # What was complete once stays so, even if it was started again by hand.
            if has_ended and (container.exit_code == 0 or workload.done):
                return Phase.COMPLETE, ""
            # Restarting is dead with the engine's own patience; ours is counted, told, and the same everywhere.
            return Phase.DEAD, f"exited with code {container.exit_code}"
        case State.CREATED:
            return Phase.CREATED, ""
        case State.REMOVING:
            return Phase.STOPPING, ""
        case State.PAUSED if not container.stopping:
            # A gateway does nothing but exist: frozen, it serves as well.
            return (Phase.READY, "") if workload.role is Role.GATEWAY else (Phase.UNHEALTHY, "paused")
    if container.stopping:
        return Phase.STOPPING, ""
    if missing := sorted(workload.networks - set(container.addresses)):
        return Phase.UNHEALTHY, f"{DETACHED} {missing[0]}"
    if workload.role is Role.JOB and not _runs_on(container, workload):
        return (Phase.WARMING, "") if in_time else (Phase.UNHEALTHY, "has not ended by its deadline")
    match container.health:
        case Health.UNHEALTHY:
            return Phase.UNHEALTHY, "its health check fails"
        case Health.STARTING:
            return (Phase.WARMING, "") if in_time else (Phase.UNHEALTHY, "not ready by its deadline")
    return Phase.READY, ""


def _runs_on(container: Container, workload: Workload) -> bool:
    """Whether a job is what an earlier release started as a service that has `restart: "no"` and goes on running."""
    return container.role is Role.DEPENDENCY and not workload.awaited
