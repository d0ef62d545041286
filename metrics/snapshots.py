"""Plain values from the controller's last observation, to be exported.

They separate the two packages: `metrics` does not depend on the controller, and a scrape reads only memory and never
waits for an engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSnapshot:
    """One VaultService as it was last observed. Times are aware datetimes; None values are not exported.

    `conditions` maps a type to "True", "False" or "Unknown"; `replicas` maps a workload to counts by
    catalog.REPLICA_STATES; `pool` maps catalog.POOL_STATES to counts; a missing state counts 0. `drift` maps a kind to a
    count: keep a healed kind with 0, so that its series does not end with the last positive value.
    """

    name: str
    plugin: str
    generation: int
    observed_generation: int
    revision: str = ""
    commit: str = ""
    suspended: bool = False
    conditions: Mapping[str, str] = field(default_factory=dict)
    replicas: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    pool: Mapping[str, int] = field(default_factory=dict)
    pool_minimum: int | None = None
    drift: Mapping[str, int] = field(default_factory=dict)
    oldest_replica_created: datetime | None = None
    next_rotation: datetime | None = None
    asleep: bool | None = None
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSnapshot:
    """The current state of one work queue and its workers. Durations are seconds."""

    name: str
    depth: int
    workers: int
    active_workers: int
    unfinished_seconds: float = 0.0
    longest_running_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSnapshot:
    """One Git source; `last_fetch` is the aware time of the last fetch that succeeded, `refused` whether the commit that it
    brought is refused, None before there was one.
    """

    name: str
    last_fetch: datetime | None = None
    refused: bool | None = None
