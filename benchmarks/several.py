"""HAProxies of several nodes, side by side and one after the other: what a pass waits for when each answer takes a while.

    .venv/bin/python -m benchmarks several

The code that asks, reads and tells is the real one, the HAProxies are those in memory; each call to one takes
ANSWER_SECONDS, as over a network. What is compared with makes the same calls in a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Final

from benchmarks.harness import page
from benchmarks.harness.lab import Lab
from benchmarks.harness.row import SECONDS, Goal, Row
from reconciler.core.assess.observation import ProxyObservation
from reconciler.core.desired.stack import Site
from reconciler.proxy.base import NewServer
from reconciler.proxy.haproxy.gateway.servers import GatewayServers
from reconciler.threads import Abreast, one_by_one, side_by_side
from tests.contracts.gateways import GATEWAY, PLAIN, PoolsInMemory

ANSWER_SECONDS: Final = 0.02
NODES: Final = (3, 10)
ROUNDS: Final = 10
SLACK: Final = 1.5
"""How much longer it may take than one node alone, in calls that are made side by side."""


class _Slow:
    """A HAProxy of another node, or a pool of it."""

    def __init__(self, inner: Any, memory: Lock) -> None:
        self._inner, self._memory = inner, memory

    def pool(self, name: str) -> _Slow:
        return _Slow(self._inner.pool(name), self._memory)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._inner, name)

        def later(*given: Any, **named: Any) -> Any:
            time.sleep(ANSWER_SECONDS)
            with self._memory:
                return call(*given, **named)

        return later


class Ways:
    """A service whose gateway has a HAProxy on each of so many nodes."""

    def __init__(self, directory: Path, nodes: int) -> None:
        self._world = PoolsInMemory(directory)
        self._world.route(PLAIN)
        # Identifiers in memory are filled up with zeros, so none is 10.
        self._slots = (1, *range(12, 11 + nodes))
        for slot in self._slots[1:]:
            self._world.start(slot)
        self._world.files.write_slots(self._world.site, self._slots, {n: f"node{n}" for n in self._slots})

    def _servers(self, abreast: Abreast) -> GatewayServers:
        world, memory = self._world, Lock()

        def at(site: Site, slot: int, seconds: float) -> Any:
            return _Slow(world.at(site, slot, seconds), memory)

        sites = {GATEWAY: world.site}
        return GatewayServers(lambda: sites, lambda: world.time, world.events, world.files, at, abreast)

    def observe(self, abreast: Abreast = side_by_side) -> ProxyObservation:
        """What a pass sees of all HAProxies."""
        return self._servers(abreast).observe(self._world.stack, ())

    def look(self, abreast: Abreast) -> float:
        """Seconds of one observation."""
        began = time.perf_counter()
        seen = self.observe(abreast)
        took = time.perf_counter() - began
        if sum(each.answering for each in seen.instances) != len(self._slots):
            raise RuntimeError("a HAProxy in memory does not answer")
        return took

    def replace(self, abreast: Abreast) -> float:
        """Seconds of the calls that replace a replica: the file and its settings, add, drain, delete."""
        servers, stack = self._servers(abreast), self._world.stack
        began = time.perf_counter()
        servers.configure(stack, [("new", "10.0.0.8:8000")])
        servers.add_servers(stack, self._slots, [NewServer("new", "10.0.0.8:8000", True)])
        servers.drain_servers(stack, self._slots, ["new"])
        servers.delete_servers(stack, self._slots, ["new"], force=True)
        return time.perf_counter() - began

    def close(self) -> None:
        """Close what it listens on."""
        self._world.events.close()


def rows(lab: Lab) -> Iterator[Row]:
    """A look at a service, and the replacement of a replica, through so many nodes."""
    for nodes in NODES:
        with TemporaryDirectory() as directory:
            ways = Ways(Path(directory), nodes)
            for what, call, calls in (
                ("a pass looks at a service", ways.look, 2),
                ("a replica is replaced in the pools", ways.replace, 4),
            ):
                alone = calls * ANSWER_SECONDS
                ours, theirs = zip(
                    *((call(side_by_side), call(one_by_one)) for _ in range(ROUNDS)), strict=True
                )
                yield Row(
                    f"{nodes} nodes, answers after {ANSWER_SECONDS * 1000:.0f} ms: {what}",
                    SECONDS,
                    ours,
                    f"{alone:.2f} s: {calls} answers of one node",
                    "one node after the other",
                    theirs,
                    goal=Goal(at_most=alone * SLACK),
                )
            ways.close()


if __name__ == "__main__":
    with Lab() as lab:
        print(page.text(rows(lab)))
