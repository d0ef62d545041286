"""Times what takes several passes: the phases of a replica, and the time from a change to convergence.

A pass keeps no state, so durations are derived from successive observations. A phase that began before this process is not
timed, since its start is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from metrics import catalog
from metrics.recorder import Recorder
from reconciler.controller.report import trace
from reconciler.core.assess.assessment import Assessment
from reconciler.core.assess.health import Replica
from reconciler.core.assess.instance import Phase
from reconciler.core.desired.stack import Stack

__all__ = ["Stopwatch"]

DRAIN: Final = "drain"


class Stopwatch:
    """The running times of every service. Threads may share it: no two are in a pass over the same service."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._phases: dict[str, Mapping[str, tuple[str, datetime]]] = {}
        self._restless: dict[str, datetime] = {}
        self._asleep: set[str] = set()
        self._woken: dict[str, datetime] = {}

    def saw(self, service: str, replicas: Sequence[Replica], *, settled: bool, now: datetime) -> None:
        """A pass saw these web replicas; `settled`: nothing is left to do or to wait for."""
        self._time_phases(service, {r.container.id: phase for r in replicas if (phase := _phase(r))}, now)
        self._time_change(service, settled, now)

    def slept(self, service: str, stack: Stack, assessment: Assessment) -> None:
        """A pass saw whether this service sleeps; one that a new spec or a rollout started was not woken by requests."""
        if stack.is_asleep:
            self._asleep.add(service)
            self._woken.pop(service, None)
        elif service in self._asleep:
            self._asleep.discard(service)
            activity = assessment.observed.proxy.activity
            if activity is not None and activity.open:
                self._woken[service] = assessment.now
                self._recorder.add(catalog.WAKES, name=stack.label)
        if service in self._woken and any(replica.serving for replica in assessment.replicas):
            seconds = (assessment.now - self._woken.pop(service)).total_seconds()
            self._recorder.observe(catalog.WAKE_DURATION, seconds, exemplar=trace.exemplar())

    def forget(self, service: str) -> None:
        """A service was deleted."""
        self._asleep.discard(service)
        self._woken.pop(service, None)
        self._phases.pop(service, None)
        self._restless.pop(service, None)

    def _time_phases(self, service: str, phases: Mapping[str, str], now: datetime) -> None:
        before = self._phases.get(service)
        if before is None:
            # At the first observation of this process, any replica may be in the middle of a phase.
            self._phases[service] = {}
            return
        for container, (phase, since) in before.items():
            if phases.get(container) != phase:
                self._observer(phase)((now - since).total_seconds(), exemplar=trace.exemplar())
        self._phases[service] = {
            container: was if (was := before.get(container)) and was[0] == phase else (phase, now)
            for container, phase in phases.items()
        }

    def _observer(self, phase: str) -> Callable[..., None]:
        if phase == DRAIN:
            return partial(self._recorder.observe, catalog.DRAIN_DURATION)
        return partial(self._recorder.observe, catalog.ROLLOUT_PHASE_DURATION, phase=phase)

    def _time_change(self, service: str, settled: bool, now: datetime) -> None:
        since = self._restless.pop(service, None)
        if not settled:
            self._restless[service] = since or now
        elif since is not None:
            seconds = (now - since).total_seconds()
            self._recorder.observe(catalog.CONVERGE_DURATION, seconds, exemplar=trace.exemplar())


def _phase(replica: Replica) -> str | None:
    """The phase that is timed, if it is in one."""
    if replica.phase is Phase.STOPPING:
        return "stop"
    if replica.draining and replica.live:
        return DRAIN
    if replica.phase is Phase.CREATED:
        return "create"
    if replica.phase is Phase.WARMING:
        return "warm"
    if replica.phase is Phase.READY and not replica.serving:
        return "join"
    return None
