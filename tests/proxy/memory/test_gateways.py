"""HAProxies of gateways in memory: what they do with files that are not there."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from pathlib import Path

import pytest

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.desired.stack import Role, Site
from reconciler.engines.memory.machine import Behaviour, Machine, MemoryContainer
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.gateway.containers import project_of
from reconciler.proxy.memory.gateways import MemoryGateways

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GATEWAY = "main"
ROUTES = {"routes": {"a.test/": "a.0|h001|"}}
IMAGE = "haproxy:3.0"


class World:
    """A gateway with one HAProxy container."""

    def __init__(self, directory: Path) -> None:
        self.time = 0.0
        self.machine = Machine(lambda: self.time, lambda: NOW)
        self.gateways = MemoryGateways(self.machine, lambda: self.time)
        self.site = Site(directory / GATEWAY, 99, 99)
        self.gateways.write_configuration(self.site, GatewaySpec(), ["h001"], IMAGE)
        self.gateways.write_routes(self.site, {}, ROUTES)

    def boot(self) -> None:
        container = MemoryContainer(
            id="1" * 64,
            name="haproxy-1",
            service=GATEWAY,
            project=project_of(GATEWAY),
            workload="haproxy",
            role=Role.PROXY,
            revision="r",
            behaviour=Behaviour(boot=0.1, checked=False, stop=inf),
            number=1,
            created=NOW,
            networks=frozenset(),
            restarts=False,
            slot=1,
        )
        self.machine.add(container)
        self.machine.start(container)
        self.time += 1.0

    def routes(self) -> object:
        return self.gateways.at(self.site, 1, 1.0).read_maps(["routes"])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_none_starts_without_its_maps(world: World) -> None:
    world.gateways.directory(world.site.directory).maps.clear()
    world.boot()
    with pytest.raises(ProxyAwayError):
        world.routes()

    world.gateways.write_routes(world.site, {}, ROUTES)
    world.time += 1.0
    assert world.routes() == ROUTES


def test_a_reload_without_them_leaves_the_old_worker_serving(world: World) -> None:
    world.boot()
    assert world.routes() == ROUTES
    world.gateways.directory(world.site.directory).maps.clear()
    (process,) = world.gateways.of(project_of(GATEWAY)).values()
    with pytest.raises(ProxyError, match="did not accept its new configuration"):
        world.gateways.restart(process, project_of(GATEWAY))
    assert process.workers[0].current
    assert world.routes() == ROUTES
