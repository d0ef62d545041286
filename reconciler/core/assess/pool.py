"""The pool as one thing, although several proxy processes each have their own view of it.

A server serves only if every proxy that takes new connections says so; it is out only if every process, including
the old workers that still end their connections after a reload, says so. Sessions are counted over all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

from reconciler.core.assess.observation import (
    DEFAULT_WEIGHT,
    Admin,
    Observation,
    ProxyInstance,
    Server,
    State,
)
from reconciler.core.desired.stack import Workload


class Member(NamedTuple):
    """A server of the pool over all proxies.

    `addresses`: where the processes that take new connections reach it. `enabled`: drained nowhere. `up`: enabled and its
    checks pass everywhere; `up_somewhere`: takes new traffic in one at least. `draining`: takes new traffic nowhere.
    `sessions`: open in all processes together. `since`: seconds that its status has lasted in the process that changed
    it last. `check`: what the last check came to where it fails. `weights`: its share of new requests in the processes that
    take them.
    """

    name: str
    addresses: frozenset[str]
    enabled: bool
    up: bool
    up_somewhere: bool
    draining: bool
    sessions: int
    since: float
    check: str = ""
    weights: frozenset[int] = frozenset({DEFAULT_WEIGHT})

    @property
    def is_weighted(self) -> bool:
        """Whether it has a share of new requests everywhere; one without may be well and not drained."""
        return 0 not in self.weights


def merge(instances: Sequence[ProxyInstance]) -> Mapping[str, Member]:
    """The pool's members by name; proxies that do not answer are left out, since they serve nothing."""
    answering = [instance for instance in instances if instance.answering]
    current: dict[str, list[Server]] = {}
    anywhere: dict[str, list[Server]] = {}
    listening = 0
    for instance in answering:
        for worker in instance.workers:
            listening += worker.current
            for server in worker.servers:
                anywhere.setdefault(server.name, []).append(server)
                if worker.current:
                    current.setdefault(server.name, []).append(server)
    return {
        name: _member(name, views, current.get(name, []), listening)
        for name, views in sorted(anywhere.items())
    }


def silent(proxies: Sequence[Workload], observed: Observation) -> tuple[str, ...]:
    """The IDs of the proxies that run and do not answer, those of the stack (of these workloads) and others: their servers
    are unknown.
    """
    instances = observed.proxy.instances
    answering = {instance.container for instance in instances if instance.answering}
    own = [
        c.id
        for workload in proxies
        for c in observed.of(workload.name)
        if c.state is State.RUNNING and not c.stopping and c.id not in answering
    ]
    return (*own, *(i.container for i in instances if i.slot is not None and not i.answering))


def _member(name: str, views: Sequence[Server], current: Sequence[Server], listening: int) -> Member:
    # Loops, because a pass makes one for each replica, and most have one view only.
    ready, ups, up_somewhere, check = 0, 0, False, ""
    for server in current:
        if server.admin is Admin.READY:
            ready += 1
            ups += server.up
            up_somewhere |= (server.up and server.weight > 0) or server.up_beside
        if server.check and not server.up:
            check = check or server.check
    draining, sessions, since = True, 0, inf
    for server in views:
        draining &= server.admin is Admin.DRAIN
        sessions += server.sessions
        since = min(since, server.since)
    enabled = ready == len(current) == listening
    return Member(
        name=name,
        addresses=frozenset([server.address for server in current]),
        enabled=enabled,
        up=enabled and ups == ready,
        up_somewhere=up_somewhere,
        draining=draining,
        sessions=sessions,
        since=since,
        check=check,
        weights=frozenset([server.weight for server in current]),
    )
