"""Gateways on several nodes: containers of Compose on each, made by the engine of the node, to which its agent leads.

Tasks of Swarm cannot share a network namespace, so a HAProxy among them could not hand its sockets over to the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final, Protocol

from reconciler.api.errors import PermanentError
from reconciler.core.assess.observation import EngineObservation, FrontNode, State
from reconciler.core.desired.stack import Site, Stack
from reconciler.core.plan.operations import ConnectNetwork, CreateProxy, CreateReplicas
from reconciler.engines.compose.cli import ComposeCli
from reconciler.engines.compose.engine import ComposeEngine
from reconciler.engines.compose.rows import external_networks
from reconciler.engines.errors import EngineAwayError, EngineError
from reconciler.engines.nodes import Node
from reconciler.engines.swarm.agents import AgentServices, agent_names
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.front import networks_of
from reconciler.threads import side_by_side

__all__ = ["Agents", "NodeEngine", "SwarmFronts"]

READ_SECONDS: Final = 10.0
"""Timeout of one read of a node's engine: a pass waits for the last one of all nodes."""


class Agents(Protocol):
    """What the controller has to do with the agents of nodes, by the names of these."""

    def needs_token(self, node: str, address: str) -> bool:
        """Whether it is neither enrolled at this address nor has a token that it can still use."""

    def is_enrolled(self, node: str) -> bool:
        """Whether it has used its token."""

    def invite(self, node: str, address: str) -> str:
        """A token that enrols it."""

    def problem(self, node: str) -> str:
        """Why it does not answer now; "" if it does."""

    def engine(self, node: str) -> str:
        """The URL of a socket that leads to its engine. Raises VaultError."""

    def give_files(self, node: str, site: Site) -> None:
        """Have its copy of a site's files be what is here. Raises VaultError."""


class NodeEngine(ComposeEngine):
    """The engine of one node. HAProxy finds its files there when it is started."""

    def __init__(self, node: str, agents: Agents) -> None:
        super().__init__(agents.engine(node), elsewhere=True, seconds=READ_SECONDS)
        self._node = node
        self._agents = agents
        self._sites: dict[str, Site] = {}

    @cached_property
    def _cli(self) -> ComposeCli:
        """Another node's part of the same stack is made meanwhile, from a document of its own."""
        return ComposeCli(self._api.host, f"compose-{self._node}")

    def observe(self, stack: Stack) -> EngineObservation:
        """See Engine.observe."""
        seen = super().observe(stack)
        self._sites.update({container.id: stack.site for container in seen.containers})
        return replace(seen, containers=tuple(replace(each, node=self._node) for each in seen.containers))

    def create(self, stack: Stack, requests: tuple[CreateReplicas | CreateProxy, ...]) -> None:
        """See Engine.create. On a node that is no manager, the engine knows an overlay from when a container joins it, so
        Compose would find none of those that no container there is in.
        """
        self._agents.give_files(self._node, stack.site)
        overlays = external_networks(stack)
        super().create(_without(overlays, stack), requests)
        causes = {request.workload: request.cause for request in requests}
        for container in super().observe(stack).containers:
            if container.state is State.CREATED and container.workload in causes:
                cause = causes[container.workload]
                for network in sorted(overlays.intersection(networks_of(stack.document, container.workload))):
                    self.connect(stack, ConnectNetwork.on(container, cause, network=network, existing=1))

    def start(self, containers: tuple[str, ...]) -> None:
        """See Engine.start."""
        for site in {self._sites[each] for each in containers if each in self._sites}:
            self._agents.give_files(self._node, site)
        super().start(containers)


def _without(overlays: Collection[str], stack: Stack) -> Stack:
    """The stack outside of these networks."""
    document = stack.document
    services = {
        name: {**body, "networks": [each for each in networks_of(document, name) if each not in overlays]}
        if "networks" in body
        else body
        for name, body in document["services"].items()
    }
    networks = {name: body for name, body in document["networks"].items() if name not in overlays}
    return replace(stack, document={**document, "services": services, "networks": networks})


class SwarmFronts:
    """Implements Fronts. Threads may share it. `agents` is made when the first gateway needs one."""

    def __init__(
        self,
        api: SwarmApi,
        here: ComposeEngine,
        own_node: Callable[[], str],
        agents: Callable[[], Agents],
        services: AgentServices | None,
    ) -> None:
        self._api, self._here, self._own_node = api, here, own_node
        self._make, self._services = agents, services
        self._engines: dict[str, NodeEngine] = {}
        self._lock = threading.RLock()

    @property
    def _agents(self) -> Agents:
        with self._lock:
            return self._make()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def nodes(self, stack: Stack, here: EngineObservation) -> tuple[FrontNode, ...]:
        """See Fronts.nodes."""
        services = self._known()
        nodes = self._api.nodes()
        names = agent_names(nodes.values())
        current = services.current()

        def look(node: Node) -> FrontNode | None:
            if stack.nodes is not None and node.is_selected(stack.nodes):
                return self._look(stack, node, names[node.id], is_current=current.get(node.id))
            return self._left(stack, node, names[node.id], here, node.id in current)

        # An agent that does not answer, or an engine behind it, takes all of its time.
        found = side_by_side(look, sorted(nodes.values(), key=lambda node: names[node.id]))
        return tuple(each for each in found if each is not None)

    def _known(self) -> AgentServices:
        if self._services is None:
            raise PermanentError(
                "spec.nodeSelector: a gateway on several nodes needs agents, which have to be enrolled: run the controller "
                "with --agents ADDRESS:9444, an address of this machine that the nodes reach"
            )
        return self._services

    def _look(self, stack: Stack, node: Node, name: str, *, is_current: bool | None) -> FrontNode:
        if not is_current or self._agents.needs_token(name, node.address):
            state = "is deployed" if is_current is None else "is deployed again"
            return FrontNode(name, lacks_agent=True, is_new=True, problem=f"its agent {state}")
        if not self._agents.is_enrolled(name):
            if not self._known().enrols_here(node):
                # The controller that has invited it is gone.
                return FrontNode(name, lacks_agent=True, is_new=True, problem="its agent is deployed again")
            trouble = self._known().trouble(node)
            return FrontNode(name, is_new=True, problem=f"its agent starts: {trouble}".removesuffix(": "))
        if problem := self._agents.problem(name):
            told = problem if node.is_up else f"Swarm calls it down, and {problem}"
            return FrontNode(name, is_down=not node.is_up, problem=told)
        try:
            return FrontNode(name, seen=self.at(name).observe(stack))
        except EngineError as error:
            return FrontNode(name, problem=error.message)

    def _left(
        self, stack: Stack, node: Node, name: str, here: EngineObservation, has_agent: bool
    ) -> FrontNode | None:
        """A node that the gateway has to leave, if anything of it may be there."""
        if node.id == self._own_node() and here.containers:
            mine = tuple(replace(each, node=name) for each in here.containers)
            return FrontNode(name, is_wanted=False, seen=replace(here, containers=mine))
        if not has_agent:
            return None
        try:
            seen = None if self._agents.problem(name) else self.at(name).observe(stack)
        except EngineError:
            seen = None
        if seen is None:
            problem = "it is to be left, and its agent does not answer"
            return FrontNode(name, is_wanted=False, is_down=not node.is_up, problem=problem)
        return FrontNode(name, is_wanted=False, seen=seen) if seen.containers else None

    def at(self, node: str) -> ComposeEngine:
        """See Fronts.at."""
        with self._lock:
            if node not in self._engines:
                own = agent_names(self._api.nodes().values()).get(self._own_node())
                if node == own and not self._has_agent():
                    return self._here
                self._engines[node] = NodeEngine(node, self._agents)
            return self._engines[node]

    def reached(self) -> Mapping[str, ComposeEngine]:
        """The engines that agents lead to, by the IDs of their nodes."""
        if self._services is None or not (current := self._services.current()):
            return {}
        names = agent_names(self._api.nodes().values())
        enrolled = {
            node: name for node, name in names.items() if node in current and self._agents.is_enrolled(name)
        }
        return {node: self.at(name) for node, name in enrolled.items()}

    def _has_agent(self) -> bool:
        return self._own_node() in self._known().current()

    def deploy(self, node: str) -> None:
        """See Fronts.deploy."""
        nodes = self._api.nodes()
        names: Mapping[str, str] = agent_names(nodes.values())
        found = next((each for each in nodes.values() if names[each.id] == node), None)
        if found is None:
            raise EngineAwayError(f"node {node} is no longer in the Swarm")
        if not found.address:
            raise EngineError(f"the Swarm does not know the address of node {node}")
        self._known().deploy(found, node, self._agents.invite(node, found.address))

    def tear_down(self, project: str) -> None:
        """See Fronts.tear_down."""
        if self._services is None:
            return
        current = self._services.current()

        def tear_down(name: str) -> None:
            if problem := self._agents.problem(name):
                raise EngineAwayError(f"node {name}: {problem}")
            self.at(name).tear_down(project, volumes=False)

        names = agent_names(self._api.nodes().values())
        side_by_side(tear_down, [name for identifier, name in names.items() if identifier in current])
