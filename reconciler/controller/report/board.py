"""The last observation of every VaultService, for Prometheus: read at any time, without a request to the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from metrics.snapshots import ServiceSnapshot
from reconciler.api import Status, find_condition
from reconciler.controller.report.stopwatch import Stopwatch
from reconciler.core.assess.counts import Counts
from reconciler.core.assess.diff import count_by_kind
from reconciler.core.assess.observation import Observation
from reconciler.core.desired.stack import Stack
from reconciler.core.plan.front import FrontDoor
from reconciler.core.plan.preview import Preview
from reconciler.core.plan.strategies import decide
from reconciler.store.base import StoredObject


@dataclass(frozen=True, slots=True)
class Exporter:
    """One HAProxy's own Prometheus metrics; `address` is IPv4:port on the service's network. One on another `node` has
    none: the controller serves them itself.
    """

    service: str
    slot: int
    address: str
    node: str = ""


class Board:
    """Snapshots by name. Threads may share it: each entry is replaced whole."""

    def __init__(self, stopwatch: Stopwatch, front: FrontDoor) -> None:
        self._stopwatch = stopwatch
        self._front = front
        self._snapshots: dict[str, ServiceSnapshot] = {}
        self._exporters: dict[str, tuple[Exporter, ...]] = {}
        self._listeners: list[Callable[[str, Preview | None], None]] = []

    def tell(self, listener: Callable[[str, Preview | None], None]) -> None:
        """Call `listener` after each observation of a service, with None when the last one no longer holds. It has to
        return at once, and raises nothing.
        """
        self._listeners.append(listener)

    def silence(self, listener: Callable[[str, Preview | None], None]) -> None:
        """Call it no more."""
        self._listeners.remove(listener)

    def snapshots(self) -> tuple[ServiceSnapshot, ...]:
        """The last snapshot of every service."""
        return tuple(self._snapshots.values())

    def exporters(self) -> tuple[Exporter, ...]:
        """The metrics addresses of every HAProxy that ran at the last observation."""
        return tuple(exporter for each in list(self._exporters.values()) for exporter in each)

    def saw(self, stored: StoredObject, status: Status, preview: Preview) -> None:
        """A pass observed everything."""
        assessment, stack, members = preview.assessment, preview.stack, preview.assessment.members.values()
        due = assessment.next_rotation
        self._snapshots[stored.name] = replace(
            _of(stored, status),
            replicas={name: _by_state(counts) for name, counts in assessment.counts.items()},
            pool={
                "up": sum(m.up for m in members),
                "down": sum(m.enabled and not m.up for m in members),
                "draining": sum(m.draining for m in members),
            },
            pool_minimum=min(decide(assessment).enough, stack.serving),
            drift=count_by_kind(preview.differences),
            oldest_replica_created=min((r.container.created for r in assessment.live), default=None),
            next_rotation=None if due is None else datetime.fromtimestamp(due, UTC),
            asleep=None if stack.idle is None else stack.is_asleep,
            observed_at=assessment.now,
        )
        self._exporters[stored.name] = exporters(self._front, stack, assessment.observed)
        reconciling = find_condition(status.conditions, "Reconciling")
        settled = reconciling is not None and reconciling.status == "False"
        self._stopwatch.saw(stored.name, assessment.replicas, settled=settled, now=assessment.now)
        self._stopwatch.slept(stored.name, stack, assessment)
        self._tell(stored.name, preview)

    def waits(self, stored: StoredObject, status: Status) -> None:
        """A pass could not or should not observe; the last observation is kept."""
        before = self._snapshots.get(stored.name)
        entry = _of(stored, status)
        if before is not None:
            entry = replace(
                before, conditions=entry.conditions, generation=entry.generation, suspended=entry.suspended
            )
        self._snapshots[stored.name] = entry
        self._tell(stored.name, None)

    def forget(self, name: str) -> None:
        """A service was deleted: remove its series."""
        self._snapshots.pop(name, None)
        self._exporters.pop(name, None)
        self._stopwatch.forget(name)
        self._tell(name, None)

    def _tell(self, name: str, preview: Preview | None) -> None:
        for listener in self._listeners:
            listener(name, preview)


def exporters(front: FrontDoor, stack: Stack, observed: Observation) -> tuple[Exporter, ...]:
    """Where the running proxies of a stack serve their own metrics."""
    return tuple(Exporter(stack.label, slot, address) for slot, address in front.exporters(stack, observed))


def _of(stored: StoredObject, status: Status) -> ServiceSnapshot:
    service = stored.resource
    return ServiceSnapshot(
        name=stored.name,
        plugin=service.spec.plugin,
        generation=service.metadata.generation,
        observed_generation=status.observed_generation,
        revision=status.revision or "",
        commit=stored.origin.commit,
        suspended=service.spec.suspend,
        conditions={condition.type: condition.status for condition in status.conditions},
    )


def _by_state(counts: Counts) -> Mapping[str, int]:
    """A workload's containers by catalog.REPLICA_STATES."""
    return {
        "desired": counts.desired,
        "current": counts.current,
        "updated": counts.updated,
        "ready": counts.ready,
        "serving": counts.serving,
    }
