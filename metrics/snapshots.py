"""What the controller hands over to be exported: plain values, taken from its last observation.

They stand between the two packages so that `metrics` knows nothing of the controller, and so that a scrape
reads memory only and never waits for an engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSnapshot:
    """One VaultService as it was last seen. Times are aware datetimes; what is None is not exported.

    `conditions` maps a type to "True", "False" or "Unknown"; `replicas` maps a workload to counts by
    catalog.REPLICA_STATES; `pool` maps catalog.POOL_STATES to counts; a state that is left out counts 0.
    `drift` maps a kind to a count: keep a healed kind with 0, so that its series says "healed" and not
    "unknown".
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
    observed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSnapshot:
    """One work queue and its workers right now. Durations are seconds."""

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
