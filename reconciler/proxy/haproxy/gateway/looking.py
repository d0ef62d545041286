"""How the pools of one service look in all HAProxies of a gateway, as one pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from reconciler.core.assess.observation import ProxyWorker
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.gateway.addresses import Ports, in_plan
from reconciler.proxy.haproxy.gateway.merged import merged
from reconciler.proxy.haproxy.gateway.ways import Way
from reconciler.proxy.haproxy.reaching import Pool
from reconciler.proxy.haproxy.stats import Process, as_worker, last_successor
from reconciler.threads import Abreast

__all__ = ["workers_of"]

TRIES: Final = 3
"""How often the pools of a HAProxy are looked at, until none of its processes came or went between two of them."""

Views = Mapping[str, tuple[Process, ...]]
"""The processes of one HAProxy as each pool shows them."""


def workers_of(
    way: Way, ports: Ports, runtime: Callable[[int, str], Pool], abreast: Abreast
) -> Mapping[int, tuple[ProxyWorker, ...] | None]:
    """The workers in each slot, with the servers of all pools of the way; None for one that does not answer. `runtime`
    gives the pool of a slot, `abreast` asks the HAProxies.
    """
    seen = dict(zip(way.slots, abreast(lambda slot: _look(way, slot, runtime), way.slots), strict=True))
    answering = [views for views in seen.values() if views is not None]
    successor = last_successor(process for views in answering for process in next(iter(views.values())))
    return {
        slot: None if views is None else tuple(_merged(way, views, ports, successor))
        for slot, views in seen.items()
    }


def _look(way: Way, slot: int, runtime: Callable[[int, str], Pool]) -> Views | None:
    try:
        for _ in range(TRIES):
            views = {pool: runtime(slot, pool).processes() for pool in way.every_pool}
            if len({_who(processes) for processes in views.values()}) == 1:
                return views
    except ProxyError:
        pass
    return None


def _who(processes: tuple[Process, ...]) -> tuple[tuple[int, bool], ...]:
    return tuple((process.info.pid, process.serving) for process in processes)


def _merged(way: Way, views: Views, ports: Ports, successor: float) -> Iterator[ProxyWorker]:
    for number in range(len(next(iter(views.values())))):
        workers = {
            pool: _in_plan(as_worker(views[pool][number], successor), port, ports)
            for pool, port in way.every_pool.items()
        }
        needed = [workers[pool] for pool in way.served]
        yield merged(needed, [workers[pool] for pool in way.former])


def _in_plan(worker: ProxyWorker, port: int, ports: Ports) -> ProxyWorker:
    """The worker with the addresses that the plan knows. What a check found at a port of its own says so."""
    servers = (
        each._replace(
            address=in_plan(each.name, each.address, port, ports),
            check=f"{each.check} at port {port}" if each.check and port else each.check,
        )
        for each in worker.servers
    )
    return replace(worker, servers=tuple(servers))
