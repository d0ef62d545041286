"""Whether a rollout makes progress. One that does not has failed, and the last good revision keeps serving.

Progress is derived from the observation: a new replica that became available, a ready dependency and a complete job each
restart the deadline. Only the start of the rollout is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reconciler.api.reasons import Reason
from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.health import Replica
from reconciler.core.assess.history import History
from reconciler.core.assess.instance import Instance, Phase
from reconciler.core.assess.observation import State
from reconciler.core.desired.stack import Role, Stack, Workload

CRASH_LIMIT: Final = 3
"""Deaths of one replica of a new revision after which its rollout has failed."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a rollout has failed; `container` is one whose log may explain it, if there still is one."""

    reason: Reason
    message: str
    container: str | None = None


def judge_progress(assessment: Assessment, history: History, started: datetime | None) -> Failure | None:
    """Why the rollout towards the stack's revision has failed, or None. `started` is None when none is under way."""
    stack, strategy = assessment.stack, assessment.stack.strategy
    if started is None or strategy.paused:
        return None
    current = [r for r in assessment.replicas if r.current or r.asked]
    available = [r for r in current if r.available(strategy.min_ready)]
    lacking = [w for w in stack.of(Role.DEPENDENCY, Role.JOB) if not assessment.is_complete(w)]
    if len(available) >= stack.serving and not lacking:
        return None
    if failure := _job_failed(assessment) or _crash_loop(assessment, lacking, current, history, started):
        return failure
    moments = [assessment.now - timedelta(seconds=r.member.since) for r in available if r.member]
    moments += [moment for i in assessment.others if (moment := _well_since(i))]
    # A clock that was set back leaves moments that are still to come: they would put the deadline off until then.
    last = max([started, *(moment for moment in moments if moment <= assessment.now)])
    if (assessment.now - last).total_seconds() <= strategy.progress_deadline:
        return None
    told = [_told(workload, assessment.of(workload)) for workload in lacking]
    if len(available) < stack.serving:
        told.append(f"{len(available)} of {stack.serving} replicas of {stack.revision} are available")
        told += _doubts([r for r in current if r not in available])
    if died := _deaths(stack.web, history, started):
        told.append(f"{died} died")
    pulls = assessment.observed.engine.pulls
    told += [f"image {image} cannot be pulled: {pull.error}" for image, pull in pulls.items() if pull.error]
    suspects = [i for workload in lacking for i in assessment.of(workload) if not i.is_well]
    suspects = suspects or [r for r in reversed(current) if r not in available]
    return Failure(
        Reason.PROGRESS_DEADLINE_EXCEEDED,
        f"no progress for {strategy.progress_deadline:.0f} s: {', '.join(told)}",
        suspects[0].container.id if suspects else None,
    )


def _doubts(replicas: Sequence[Replica]) -> list[str]:
    """Why they are not in service, each reason once."""
    return list(dict.fromkeys(replica.doubt for replica in replicas if replica.doubt))


def _job_failed(assessment: Assessment) -> Failure | None:
    """A job with another exit code than 0 fails the rollout at once."""
    for instance in assessment.others:
        ended = instance.phase is Phase.DEAD and instance.container.state is not State.RESTARTING
        if instance.workload.role is Role.JOB and instance.current and ended:
            told = f"job {instance.workload.name} {instance.reason}"
            return Failure(Reason.JOB_FAILED, told, instance.container.id)
    return None


def _crash_loop(
    assessment: Assessment,
    lacking: Sequence[Workload],
    current: Sequence[Replica],
    history: History,
    started: datetime,
) -> Failure | None:
    stack = assessment.stack
    deaths = _deaths(stack.web, history, started)
    # Each of the others may have died once beside it: they were started side by side.
    if deaths >= CRASH_LIMIT + stack.replicas - 1:
        ill = [r.container.id for r in current if not r.available(stack.strategy.min_ready)]
        told = [f"replicas of {stack.revision} died {deaths} times"]
        told += _doubts([r for r in current if r.phase is Phase.DEAD])
        return Failure(Reason.CRASH_LOOP, ", ".join(told), ill[-1] if ill else None)
    for workload in lacking:
        deaths = _deaths([workload], history, started)
        if deaths >= CRASH_LIMIT + workload.replicas - 1:
            container = next((i.container.id for i in assessment.of(workload)), None)
            return Failure(Reason.CRASH_LOOP, f"{workload.name} died {deaths} times", container)
    return None


def _deaths(workloads: Sequence[Workload], history: History, started: datetime) -> int:
    return sum(death >= started for w in workloads for death in history.deaths.get(w.name, ()))


def _well_since(instance: Instance) -> datetime | None:
    """The latest moment at which it is known to have moved the rollout forward: a job when it ended, a dependency when
    it was created. A dependency that the engine restarts again and again gets no new deadline each time.
    """
    if not instance.is_well or instance.workload.role not in (Role.DEPENDENCY, Role.JOB):
        return None
    return instance.container.ended or instance.container.created


def _told(workload: Workload, instances: Sequence[Instance]) -> str:
    reason = next((i.reason for i in instances if i.reason and not i.is_well), "")
    return f"{workload.name} is not {'complete' if workload.role is Role.JOB else 'ready'}" + (
        f" ({reason})" if reason else ""
    )


def look_in(stack: Stack, started: datetime | None, now: datetime) -> float | None:
    """Seconds until the deadline can have passed, to look again then."""
    if started is None:
        return None
    return max(1.0, stack.strategy.progress_deadline - (now - started).total_seconds())
