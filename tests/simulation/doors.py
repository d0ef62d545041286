"""The HAProxies that requests of a service come through: its own, or those of gateways.

A pool of a gateway counts as a HAProxy that serves this service only, so that what must hold for a front door of its own is
judged in the same words for routes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.core.desired.stack import Site, Stack
from reconciler.proxy.haproxy.gateway.containers import project_of
from reconciler.proxy.haproxy.gateway.maps import led_by
from reconciler.proxy.haproxy.gateway.ways import needs_of_service
from reconciler.proxy.memory import MemoryGateways, MemoryProcess, MemoryProxy, MemoryWorker
from reconciler.proxy.memory.processes import OWN

POOLS = 10_000
"""Pools of one worker have numbers below this."""


@dataclass(slots=True)
class Door(MemoryProcess):
    """A HAProxy as one service sees it; `is_led`: requests come to it."""

    is_led: bool = True


class Doors:
    """What a Judge looks at."""

    def __init__(
        self,
        own: MemoryProxy,
        gateways: MemoryGateways | None = None,
        sites: Callable[[], Mapping[str, Site]] = dict,
    ) -> None:
        self._own = own
        self._gateways = gateways
        self._sites = sites

    @property
    def mute(self) -> set[str]:
        """The containers whose sockets do not answer, or not in time."""
        mine = self._own.mute | self._own.slow
        return mine | self._gateways.mute | self._gateways.slow if self._gateways else mine

    def is_ready(self, process: MemoryProcess) -> bool:
        """Whether it listens."""
        return self._own.is_ready(process)

    def of(self, stack: Stack) -> list[Door]:
        """All that there are."""
        if stack.routed is None or self._gateways is None:
            processes = self._own.processes(stack).values()
            return [Door(p.container, p.slot, p.started, p.workers) for p in processes]
        found = []
        for gateway, site in self._sites().items():
            held = self._gateways.directory(site.directory).held
            pools = sorted(pool for need, pool in held.items() if need.service == stack.name)
            for process in self._gateways.of(project_of(gateway)).values():
                led = led_by(process.workers[0].maps)
                for pool in pools:
                    workers = [_of_pool(worker, pool) for worker in process.workers]
                    found.append(
                        Door(process.container, process.slot, process.started, workers, is_led=pool in led)
                    )
        return found

    def written(self, stack: Stack) -> frozenset[str]:
        """The servers that one that starts has, in each of its pools; no pass knows where a silent one leads requests."""
        if stack.routed is None or self._gateways is None:
            return frozenset(self._own.files[stack.project].servers)
        needs = needs_of_service(stack.name, stack.routed)
        said: list[frozenset[str]] = []
        for gateway, site in self._sites().items():
            there = self._gateways.directory(site.directory)
            known = self._gateways.of(project_of(gateway)).values()
            silent = self._gateways.mute | self._gateways.slow
            led = led_by(there.maps).union(
                *(led_by(p.workers[0].maps) for p in known if p.container not in silent)
            )
            for need, pool in there.held.items():
                if need in needs.get(gateway, ()) or (need.service == stack.name and pool in led):
                    file = there.pools.get(pool)
                    said.append(frozenset(server.name for server in file.servers) if file else frozenset())
        return frozenset.intersection(*said) if said else frozenset()


def _of_pool(worker: MemoryWorker, pool: str) -> MemoryWorker:
    number = "hszyt".index(pool[0]) * 1000 + int(pool[1:])
    servers = {OWN: worker.pools.get(pool, {})}
    return MemoryWorker(
        worker.pid * POOLS + number, worker.structure, worker.born, servers, superseded=worker.superseded
    )
