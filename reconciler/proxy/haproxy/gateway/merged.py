"""Several pools of one service as one: one whose routes need pools of different kinds has its replicas in all of them.

A server takes part only if it does in each pool; as long as one of them differs, it has several entries, which the core
reads as the views of several processes: neither enabled nor out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from reconciler.core.assess.observation import MAX_WEIGHT, Admin, ProxyWorker, Server

__all__ = ["MIXED_WEIGHT", "merged"]

Views = Sequence[Server]

MIXED_WEIGHT: Final = MAX_WEIGHT + 1
"""The weight of a server that has not the same one in each pool: no plan wants it, so it is set again."""


def merged(needed: Sequence[ProxyWorker], former: Sequence[ProxyWorker]) -> ProxyWorker:
    """One worker as several pools show it: those that the service needs, of which there may be none, and those that it has
    from before.
    """
    first = [*needed, *former][0]
    return replace(first, servers=tuple(_servers(needed, former, serving=first.current)))


def _servers(
    needed: Sequence[ProxyWorker], former: Sequence[ProxyWorker], *, serving: bool
) -> Iterable[Server]:
    present, beside = _by_name(needed), _by_name(former)
    for name in sorted({*present, *beside}):
        views, others = present.get(name, []), beside.get(name, [])
        if not serving or (_agree(views) and len(views) == len(needed) and _leave_it(views, others)):
            yield _one([*views, *others] if not serving else views, others if serving else [])
        else:
            yield from _apart([*views, *others])


def _by_name(workers: Sequence[ProxyWorker]) -> Mapping[str, list[Server]]:
    found: dict[str, list[Server]] = {}
    for worker in workers:
        for server in worker.servers:
            found.setdefault(server.name, []).append(server)
    return found


def _agree(views: Views) -> bool:
    return bool(views) and len({(view.admin, view.address) for view in views}) == 1


def _leave_it(views: Views, others: Views) -> bool:
    """Whether former pools can be left to their gateway: they may have a server that serves, not one that leaves."""
    return views[0].admin is Admin.READY or all(other.admin is Admin.DRAIN for other in others)


def _one(views: Views, others: Views) -> Server:
    weights = {view.weight for view in views}
    leaving = [] if views[0].admin is Admin.READY else others
    up = all(view.up for view in views)
    return views[0]._replace(
        up=up,
        sessions=sum(view.sessions for view in (*views, *others)),
        since=min(view.since for view in (*views, *leaving)),
        # What keeps it out of service, not what another pool found.
        check=next((view.check for view in sorted(views, key=lambda view: view.up) if view.check), ""),
        weight=weights.pop() if len(weights) == 1 else MIXED_WEIGHT,
        up_beside=not up and any(view.up and view.weight for view in (*views, *others)),
    )


def _apart(views: Views) -> Iterable[Server]:
    yield from views
    if all(view.admin is Admin.READY for view in views):
        # Stands for the pools that do not have it.
        yield views[0]._replace(admin=Admin.DRAIN, up=False, sessions=0)
