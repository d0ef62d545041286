"""Why an instance has to change: the vocabulary that operations, differences and metrics share."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Why an operation is needed; a closed set, because it is also a label of metrics."""

    MISSING = "missing"
    OUTDATED = "outdated"
    SURPLUS = "surplus"
    STOPPED = "stopped"
    IDLE = "idle"
    WOKEN = "woken"
    DEAD = "dead"
    UNHEALTHY = "unhealthy"
    DETACHED = "detached"
    ROTATION = "rotation"
    NODE = "node"
    ORPHAN = "orphan"
    READY = "ready"
    STALE = "stale"
    HOLD = "hold"
    DELETED = "deleted"
