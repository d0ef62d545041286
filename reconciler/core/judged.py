"""What runs, judged: the verdicts of health.py and pool.py on one look, made once for all who plan, compare or tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.core.health import Replica, judge_replicas
from reconciler.core.observed import Container, Observed
from reconciler.core.pool import Member, merge, silent
from reconciler.core.stack import Stack


@dataclass(frozen=True, slots=True)
class Judged:
    """What is wanted and what runs, at one moment.

    `members` are the servers over all proxies, by name; `replicas` every container of the pool, oldest first; `slots`
    the names of the proxies that answer, `silent` those that run and do not.
    """

    stack: Stack
    observed: Observed
    members: Mapping[str, Member]
    replicas: tuple[Replica, ...]
    slots: tuple[int, ...]
    silent: tuple[Container, ...]
    now: datetime


def judge(stack: Stack, observed: Observed, now: datetime) -> Judged:
    """Judge one look at what runs for a stack; `now` is when it was taken."""
    members = merge(observed.proxy.instances)
    answering = {instance.container for instance in observed.proxy.instances if instance.answering}
    slots = (c.slot for c in observed.engine.containers if c.id in answering and c.slot is not None)
    return Judged(
        stack=stack,
        observed=observed,
        members=members,
        replicas=judge_replicas(stack, observed.engine.containers, members, now),
        slots=tuple(sorted(slots)),
        silent=silent(stack.haproxy.name, observed),
        now=now,
    )
