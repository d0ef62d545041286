"""Moving-target defence: no replica serves for long, and nobody can tell which one is next.

All that is needed is in containers and in the pool: when a replica was created, and since when it serves. Chance is drawn
from container IDs, so that a plan is the same however often it is made and a restart of the controller forgets nothing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime

from reconciler.core.assess.age import interval_of, next_rotation
from reconciler.core.assess.health import Replica
from reconciler.core.desired.stack import Rotation, Stack


def due_in(stack: Stack, replicas: Sequence[Replica], now: datetime) -> float | None:
    """Seconds until one more replica has to come, 0 or less when it is time; None when rotation has to wait.

    It waits for everything else: a replica that is missing, outdated or not serving comes first.
    """
    rotation = stack.rotation
    calm = all(r.current and (r.serving or r.draining) for r in replicas)
    if rotation is None or stack.strategy.paused or not calm or len(replicas) < stack.replicas:
        return None
    return next_rotation(replicas, rotation) - now.timestamp()


def active_due_in(rotation: Rotation, active: Replica) -> float:
    """Seconds until the active replica has served its time; at once when it is not fit to serve any longer."""
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
