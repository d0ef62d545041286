"""The worlds of the contracts whose HAProxies are on another node: the loop reaches them through an agent.

The loop's own directory has its files, and the agent has a copy of them in another one, which HAProxy's containers mount.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.gateway.access import FILES
from reconciler.proxy.haproxy.proxy import HAProxy
from reconciler.proxy.remote.nodes import Nodes, key_of
from reconciler.threads import side_by_side
from tests.contracts.gateways import GATEWAY, RealPools
from tests.contracts.proxies import RealWorld
from tests.proxy.conftest import Replica, World
from tests.proxy.haproxy.gateway.conftest import SPEC, GatewayWorld
from tests.proxy.remote.agents import Agent

PATIENCE = 20.0


class _Distant:
    """A site of the loop, and the copy that an agent has of it."""

    def __init__(self, agent: Agent, state: Path, kind: str, name: str) -> None:
        self.site = Site(state / kind / name, 99, 99)
        self.line = agent.line()
        self.nodes = Nodes(lambda site, slot: self.line)
        self.copy = agent.service.site_of(key_of(self.site))

    def put(self) -> None:
        """As before a HAProxy is started on the node."""
        self.nodes.put(self.site, self.line, time.monotonic() + PATIENCE)


class RemoteWorld(RealWorld):
    """HAProxies of one service on a node with an agent."""

    def __init__(
        self,
        agent: Agent,
        state: Path,
        world: World,
        replicas: dict[str, Replica],
        more: Callable[..., Replica],
    ) -> None:
        there = self._there = _Distant(agent, state, "services", "t")
        # The containers are of the node; whether they answer is asked there.
        world.stack = replace(world.stack, site=there.copy)
        super().__init__(world, replicas, more)
        self.stack = replace(world.stack, site=there.site)
        self.proxy = HAProxy(
            lambda image, *_: world.validated.append(image), time.monotonic, at=there.nodes.reach
        )

    def start(self, slot: int = 1) -> None:
        self._there.put()
        super().start(slot)


class RemotePools(RealPools):
    """HAProxies of a gateway on a node with an agent."""

    spec = SPEC.model_copy(update={"node_selector": {}})

    def __init__(
        self,
        agent: Agent,
        state: Path,
        world: GatewayWorld,
        replicas: dict[str, Replica],
        more: Callable[..., Replica],
    ) -> None:
        there = self._there = _Distant(agent, state, "gateways", GATEWAY)
        self._world = world
        self._more = more
        world.site = there.site
        world.write(self.spec)
        world.site = there.copy
        self.files, self.at, self.site, self.abreast = FILES, there.nodes.reach, there.site, side_by_side
        self.one, self.two = replicas["one"], replicas["two"]
        self.open(time.monotonic)

    def boot(self, slot: int, handover: int | None) -> None:
        self._there.put()
        super().boot(slot, handover)
