"""Moving-target defence: no replica serves for long, and the next one is unpredictable.

The state is in containers and the pool: when a replica was created, and since when it serves. Randomness is derived from
container IDs, so that plans are deterministic and survive a restart of the controller.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime

from reconciler.core.assess.age import interval_of, next_rotation
from reconciler.core.assess.health import Replica
from reconciler.core.desired.stack import Rotation, Stack


def due_in(stack: Stack, replicas: Sequence[Replica], now: datetime) -> float | None:
    """Seconds until one more replica has to be created, 0 or less when it is due; None when rotation has to wait.

    It waits for everything else: a replica that is missing, outdated or not serving comes first.
    """
    rotation = stack.rotation
    if rotation is None or stack.strategy.paused or len(replicas) < stack.replicas:
        return None
    if not all(r.current and (r.serving or r.draining) for r in replicas):
        return None
    return next_rotation(replicas, rotation) - now.timestamp()


def active_due_in(rotation: Rotation, active: Replica) -> float:
    """Seconds until the active replica is due for rotation; 0 when it can no longer serve."""
    if not active.current or not active.serving or active.member is None:
        return 0.0
    return interval_of(rotation, active.container.id) - active.member.since


def choose_active(candidates: Sequence[Replica], before: Replica | None) -> Replica | None:
    """The replica that serves next, at random, and never the one before."""
    others = sorted((r for r in candidates if r is not before), key=lambda r: r.name)
    if not others:
        return None
    seed = before.container.id if before else "".join(r.name for r in others)
    return random.Random(seed).choice(others)
