"""How old replicas may become. Jitter is derived from container IDs, so that every pass computes the same time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime

from reconciler.core.assess.health import Replica
from reconciler.core.desired.stack import Rotation


def interval_of(rotation: Rotation, seed: str) -> float:
    """Seconds from one rotation to the next: the interval, give or take the jitter."""
    return rotation.interval * (1 + random.Random(seed).uniform(-rotation.jitter, rotation.jitter))


def next_rotation(replicas: Sequence[Replica], rotation: Rotation) -> float:
    """The Unix time of the next rotation: interval ± jitter after the youngest replica was created."""
    youngest = max(replicas, key=lambda r: r.container.age_key).container
    return youngest.created.timestamp() + interval_of(rotation, youngest.id)


def next_turn(replicas: Sequence[Replica], rotation: Rotation, now: datetime) -> float | None:
    """The Unix time at which the next replica takes over where one serves at a time: interval ± jitter after the present
    one has begun to; None while none serves.
    """
    serving = [(r.member.since, r.container.id) for r in replicas if r.serving and r.member]
    if not serving:
        return None
    since, active = min(serving)
    return now.timestamp() - since + interval_of(rotation, active)
