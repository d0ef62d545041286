"""Times what takes several passes: the phases in a replica's life, and the way from a change to rest.

A pass forgets, so a duration is read off what successive passes saw. What began before this process did is not timed:
better no number than a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from metrics import catalog
from metrics.recorder import Recorder
from reconciler.controller import trace
from reconciler.core.health import Phase, Replica

__all__ = ["Stopwatch"]

DRAIN = "drain"


class Stopwatch:
    """The running times of every service. Threads may share it: no two are in a pass over the same service."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._phases: dict[str, Mapping[str, tuple[str, datetime]]] = {}
        self._restless: dict[str, datetime | None] = {}

    def saw(self, service: str, replicas: Sequence[Replica], *, settled: bool, now: datetime) -> None:
        """A pass saw these web replicas; `settled`: nothing is left to do or to wait for."""
        self._time_phases(service, {r.container.id: phase for r in replicas if (phase := _phase(r))}, now)
        self._time_change(service, settled, now)

    def forget(self, service: str) -> None:
        """A service is gone."""
        self._phases.pop(service, None)
        self._restless.pop(service, None)

    def _time_phases(self, service: str, phases: Mapping[str, str], now: datetime) -> None:
        before = self._phases.get(service)
        running: dict[str, tuple[str, datetime]] = {}
        for container, phase in phases.items():
            was = before.get(container) if before else None
            # In the first look of this process everybody is in the middle of something.
            since = now if before is not None else None
            if was and was[0] == phase:
                running[container] = was
            elif since is not None:
                running[container] = (phase, since)
        for container, (phase, since) in (before or {}).items():
            if phases.get(container) != phase:
                self._observer(phase)((now - since).total_seconds(), exemplar=trace.exemplar())
        self._phases[service] = running

    def _observer(self, phase: str) -> Callable[..., None]:
        if phase == DRAIN:
            return partial(self._recorder.observe, catalog.DRAIN_DURATION)
        return partial(self._recorder.observe, catalog.ROLLOUT_PHASE_DURATION, phase=phase)

    def _time_change(self, service: str, settled: bool, now: datetime) -> None:
        since = self._restless.get(service)
        if settled and since is not None:
            self._recorder.observe(
                catalog.CONVERGE_DURATION, (now - since).total_seconds(), exemplar=trace.exemplar()
            )
        if settled:
            self._restless[service] = None
        elif service in self._restless:
            self._restless[service] = since or now


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
