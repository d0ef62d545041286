"""The state of one container of any workload: its phase, and a short reason.

Replicas of the pool, databases, jobs and the proxies' own containers are all assessed here, once in a pass, so that plan,
differences, metrics and the verdict on a rollout agree.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from reconciler.core.assess.observation import ENDED, Container, Health, State
from reconciler.core.desired.stack import Role, Workload

PROOF_SECONDS: Final = 3.0
"""For how long an instance without a health check has to run before a rollout counts as complete."""


class Phase(StrEnum):
    """The phase of an instance, independent of its revision."""

    CREATED = "created"
    WARMING = "warming"
    READY = "ready"
    COMPLETE = "complete"
    UNHEALTHY = "unhealthy"
    STOPPING = "stopping"
    DEAD = "dead"


# Each pass asks several times of each replica, and in Python 3.11 naming three members takes ten times as long as a set.
WELL: Final = frozenset({Phase.READY, Phase.COMPLETE})
"""Nothing is wrong with it, and nothing is left to wait for."""
USEFUL: Final = frozenset({Phase.CREATED, Phase.WARMING, Phase.READY})
"""It serves or still may."""
FAILED: Final = frozenset({Phase.UNHEALTHY, Phase.DEAD})
"""It will not serve by itself."""
MOVABLE: Final = (Role.WEB, Role.DEPENDENCY)
"""What leaves a node that is drained."""
ENDING: Final = frozenset({Phase.STOPPING, Phase.DEAD})
"""Nothing has to be done to end it."""


class Found(NamedTuple):
    """The assessment of one container; see Instance."""

    phase: Phase
    reason: str = ""
    is_detached: bool = False


READY: Final = Found(Phase.READY)


def detached(what: str) -> Found:
    """It runs, without something that its definition gives it."""
    return Found(Phase.UNHEALTHY, f"detached from {what}", is_detached=True)


@dataclass(frozen=True, eq=False)
class Instance:
    """One container with its assessment; `reason` says in a few words what is wrong with it.

    `current`: it runs the current definition and may stay. `is_detached`: it runs and lacks a network of its definition,
    or the namespace that it was created for. `is_moving`: it is on a node that is drained, and another one is to be started
    elsewhere in its place. `unproven`: for how many seconds it has to stay up before a rollout counts as
    complete. Compared by identity: a pass assesses each container once.
    """

    container: Container
    workload: Workload
    phase: Phase
    current: bool
    reason: str = ""
    is_detached: bool = False
    unproven: float = 0.0
    is_moving: bool = False

    @property
    def is_well(self) -> bool:
        """Whether it is ready, or complete."""
        return self.current and self.phase in WELL


def is_moving(container: Container, drained: Collection[str]) -> bool:
    """Whether a container is to leave a node that is one of the `drained`. A job is left to end; what has its data there
    can run nowhere else.
    """
    return container.node in drained and not container.pinned and container.role in MOVABLE


def judge_instance(
    container: Container,
    workload: Workload,
    deadline: float,
    now: datetime,
    lost: str = "",
    drained: Collection[str] = (),
) -> Instance:
    """Assess one container; `deadline`: seconds from its start within which it has to become ready. `lost`: the namespace
    that it was created for and does not live in, if there is one; a restart would not lead it back. `drained` are the names
    of nodes.
    """
    # A clock that was set back extends neither the deadline nor the proof.
    age = abs(container.age(now))
    found = find_phase(container, workload, in_time=age < deadline)
    is_leaving = container.stopping and container.state not in ENDED
    if lost and not is_leaving and found.phase is not Phase.COMPLETE:
        found = detached(lost)
    moving = is_moving(container, drained)
    current = workload.accepts(container.revision) and not moving
    # Without a health check it counts as ready at once; only its uptime rules out a crash loop.
    is_unproven = found.phase is Phase.READY and container.health is Health.NONE
    unproven = max(0.0, PROOF_SECONDS - age) if is_unproven else 0.0
    return Instance(
        container, workload, found.phase, current, found.reason, found.is_detached, unproven, moving
    )


def find_phase(container: Container, workload: Workload, *, in_time: bool) -> Found:
    """The phase as far as the engine alone can tell. `in_time`: it may still become ready."""
    return _found_ended(container, workload) or _found_running(container, workload, in_time=in_time)


def _found_ended(container: Container, workload: Workload) -> Found | None:
    """The phase of a container that does not run, and is not about to stop either."""
    if container.state is State.RUNNING:
        return None
    match container.state:
        case State.EXITED | State.DEAD | State.RESTARTING:
            has_ended = workload.one_shot and container.state is State.EXITED and not container.stopping
            # A completed job stays complete, even if it was started again manually.
            if has_ended and (container.exit_code == 0 or workload.done):
                return Found(Phase.COMPLETE)
            # A container that the engine restarts counts as dead: the controller's own back-off is recorded and reported.
            code = container.exit_code
            return Found(Phase.DEAD, "exited" if code is None else f"exited with code {code}")
        case State.CREATED:
            return Found(Phase.CREATED)
        case State.REMOVING:
            return Found(Phase.STOPPING)
        case State.PAUSED if not container.stopping:
            # A gateway only holds a network namespace, which it does while it is paused, too.
            return Found(Phase.READY) if workload.role is Role.GATEWAY else Found(Phase.UNHEALTHY, "paused")
    return None


def _found_running(container: Container, workload: Workload, *, in_time: bool) -> Found:
    if container.stopping:
        return Found(Phase.STOPPING)
    if missing := workload.networks.difference(container.addresses):
        return detached(f"network {min(missing)}")
    if workload.role is Role.JOB and not _runs_on(container, workload):
        return Found(Phase.WARMING) if in_time else Found(Phase.UNHEALTHY, "has not ended by its deadline")
    match container.health:
        case Health.UNHEALTHY:
            return Found(Phase.UNHEALTHY, "its health check fails")
        case Health.STARTING:
            return Found(Phase.WARMING) if in_time else Found(Phase.UNHEALTHY, "not ready by its deadline")
    return READY


def _runs_on(container: Container, workload: Workload) -> bool:
    """Whether a job is what an earlier release started as a service that has `restart: "no"` and goes on running."""
    return container.role is Role.DEPENDENCY and not workload.awaited
