"""HAProxies of several nodes are asked and told side by side: one that is silent delays no other, and is the one blamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock, Semaphore
from typing import Any, Final

import pytest

from reconciler.api.resource import Metadata
from reconciler.api.vaultgateway import VaultGateway
from reconciler.core.assess.cause import Cause
from reconciler.core.desired.stack import Site
from reconciler.core.plan.gateway_operations import DrainPool, EmptyPool
from reconciler.proxy.base import NewServer
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.gateway.proxy import HAProxyGateways
from reconciler.proxy.haproxy.gateway.servers import GatewayServers
from tests.contracts.gateways import GATEWAY, PLAIN, PoolsInMemory

PATIENCE: Final = 20.0
"""Seconds after which calls that wait for each other are taken for calls in a row."""
NODES: Final = {1: "a", 2: "b", 3: "c"}
SILENT: Final = 1
"""The slot that would be asked first, and let the others wait."""


class Reached:
    """Reaches the HAProxies in memory; that on node a gets no answer before each other one has got its own."""

    def __init__(self, world: PoolsInMemory) -> None:
        self.world = world
        self.told: list[int] = []
        self._others = Semaphore(0)
        self._lock = Lock()

    def at(self, site: Site, slot: int, seconds: float) -> Any:
        return _Waiting(self, self.world.at(site, slot, seconds), slot)

    def call(self, slot: int, call: Callable[[], object]) -> object:
        if slot == SILENT:
            for _ in range(len(NODES) - 1):
                assert self._others.acquire(timeout=PATIENCE), "the others are not asked meanwhile"
            raise ProxyError(f"node {NODES[slot]}: the agent did not answer in time")
        with self._lock:
            answer = call()
            self.told.append(slot)
        self._others.release()
        return answer


class _Waiting:
    """A HAProxy, or a pool of it."""

    def __init__(self, reached: Reached, inner: Any, slot: int) -> None:
        self._reached, self._inner, self._slot = reached, inner, slot

    def pool(self, name: str) -> _Waiting:
        return _Waiting(self._reached, self._inner.pool(name), self._slot)

    def __getattr__(self, name: str) -> Callable[..., object]:
        call = getattr(self._inner, name)
        return lambda *given, **named: self._reached.call(self._slot, lambda: call(*given, **named))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PoolsInMemory]:
    made = PoolsInMemory(tmp_path)
    made.route(PLAIN)
    for slot in (2, 3):
        made.start(slot)
    made.files.write_slots(made.site, tuple(NODES), NODES)
    yield made
    made.events.close()


@pytest.fixture
def reached(world: PoolsInMemory) -> Reached:
    return Reached(world)


@pytest.fixture
def servers(world: PoolsInMemory, reached: Reached) -> GatewayServers:
    sites = {GATEWAY: world.site}
    return GatewayServers(lambda: sites, lambda: world.time, world.events, world.files, reached.at)


def test_a_silent_node_delays_no_look_at_the_others(world: PoolsInMemory, servers: GatewayServers) -> None:
    seen = servers.observe(world.stack, ())
    assert {each.container: each.answering for each in seen.instances} == {
        "gateway main slot 1 on a": False,
        "gateway main slot 2 on b": True,
        "gateway main slot 3 on c": True,
    }


NEW: Final = NewServer("one", "10.0.0.9:8000", True)
CHANGES: Final[dict[str, Callable[[GatewayServers, Any], object]]] = {
    "add": lambda servers, stack: servers.add_servers(stack, tuple(NODES), [NEW]),
    "weigh": lambda servers, stack: servers.set_weights(stack, tuple(NODES), [("one", 2)]),
    "drain": lambda servers, stack: servers.drain_servers(stack, tuple(NODES), ["one"]),
    "delete": lambda servers, stack: servers.delete_servers(stack, tuple(NODES), ["one"], force=True),
    "configure": lambda servers, stack: servers.configure(stack, [("one", "10.0.0.9:8000")]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_reaches_all_others_and_is_not_confirmed(
    change: Callable[[GatewayServers, Any], object],
    world: PoolsInMemory,
    reached: Reached,
    servers: GatewayServers,
) -> None:
    with pytest.raises(ProxyError, match=r"node a: the agent did not answer in time"):
        change(servers, world.stack)
    assert sorted(reached.told) == [2, 3]


def test_servers_are_withdrawn_where_that_can_be_told(
    world: PoolsInMemory, reached: Reached, servers: GatewayServers
) -> None:
    assert servers.withdraw(world.stack.name, force=True) == 0
    assert set(reached.told) == {2, 3}


@pytest.mark.parametrize("kind", [DrainPool, EmptyPool])
def test_a_pool_is_emptied_side_by_side(kind: Any, world: PoolsInMemory, reached: Reached) -> None:
    gateways = HAProxyGateways(lambda *_: None, str, lambda: world.time, files=world.files, at=reached.at)
    stack = gateways.stack(VaultGateway(metadata=Metadata(name=GATEWAY)), world.site.directory, (), "", b"")
    request = kind(pool="h001", slots=tuple(NODES), servers=(), cause=Cause.SURPLUS)
    with pytest.raises(ProxyError, match="node a"):
        (gateways.drain_pool if kind is DrainPool else gateways.empty_pool)(stack, request)
    assert sorted(reached.told) == [2, 3]
