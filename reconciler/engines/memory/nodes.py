"""The nodes of a MemoryEngine: none until one is added. Then its instances are placed, lost and moved as Swarm does it.

Whether a node has failed or only its network is cut makes no difference to the others: what was on it cannot be reached,
and is started elsewhere after a while, but for what is not to be restarted, such as a job: that ends when the node is there
again. When a node is back in time, it is as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from reconciler.core.desired.stack import Role
from reconciler.core.plan.draining import Placed
from reconciler.engines.errors import RefusedError
from reconciler.engines.memory.machine import Machine, MemoryContainer
from reconciler.engines.nodes import ONE_NODE, Availability, Drain, Node, SwarmFacts

__all__ = ["MOVE_SECONDS", "MemoryNodes"]

MOVE_SECONDS: Final = 18.0
"""After so long Swarm starts elsewhere what was on a node that is away."""
FRONT: Final = (Role.GATEWAY, Role.PROXY)


class MemoryNodes:
    """Implements reconciler.engines.nodes.Nodes; the first one is the controller's, and never lost."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._nodes: dict[str, Node] = {}
        self._homes: dict[str, str] = {}
        self._lost: dict[str, float] = {}
        self.front = ""
        """The node with HAProxy; the first one unless it is set."""
        self.is_led = True
        """Whether the Swarm has a leader, without which nothing is started or moved."""
        machine.place = self._place

    def add(self, name: str) -> None:
        """There is one more."""
        self._nodes[name] = Node(id=name, name=name, is_own=not self._nodes, is_leader=not self._nodes)

    def all(self) -> Sequence[Node]:
        """See Nodes.all."""
        return tuple(self._nodes.values())

    def volumes(self, node: str) -> Sequence[tuple[str, str]]:
        """See Nodes.volumes."""
        return sorted((volume, "") for volume, home in self._homes.items() if home == node)

    def facts(self) -> SwarmFacts | None:
        """See Nodes.facts."""
        return SwarmFacts() if self._nodes else None

    def placed(self) -> Sequence[Placed]:
        """See Nodes.placed."""
        self._machine.settle()
        return [
            Placed(c.name, c.service, c.role, c.node, self.is_pinned(c), c.is_up)
            for c in self._machine.containers.values()
            if c.role not in FRONT
        ]

    def change(self, node: str, availability: Availability, drain: Drain | None) -> None:
        """See Nodes.change; what is left on one that is drained by the engine ends, and starts elsewhere if it can."""
        if len(self._nodes) < 2:
            raise RefusedError(ONE_NODE)
        self._nodes[node] = replace(self._nodes[node], availability=availability, drain=drain)
        if availability is Availability.DRAIN:
            for container in self._on(node):
                self._machine.move(container, 0.0)

    def leave(self, node: str) -> bool:
        """See Nodes.leave."""
        found = self._nodes[node]
        if found.is_left:
            self.change(node, Availability.DRAIN, found.drain)
        return found.is_left

    @property
    def drained(self) -> frozenset[str]:
        """The names of those that instances are to leave."""
        return frozenset(node.name for node in self._nodes.values() if node.is_left)

    def is_pinned(self, container: MemoryContainer) -> bool:
        """Whether it can run on no other node than its own."""
        if self._home(container):
            return True
        node = self._nodes.get(container.node)
        return node is not None and node.drain is not None and not self._fit(container, but=node.name)

    def lose(self, node: str) -> None:
        """It can no longer be reached."""
        self._nodes[node] = replace(self._nodes[node], is_up=False, problem="is down: heartbeat failure")
        self._lost.setdefault(node, self._machine.clock())
        for container in self._on(node):
            self._machine.lose(container, MOVE_SECONDS)

    def find(self, node: str) -> None:
        """It is there again, with what has not been moved meanwhile."""
        self._nodes[node] = replace(self._nodes[node], is_up=True, problem="")
        now = self._machine.clock()
        is_given_up = now - self._lost.pop(node, now) >= MOVE_SECONDS
        for container in self._on(node):
            self._machine.find(container, is_given_up=is_given_up)

    def _on(self, node: str) -> list[MemoryContainer]:
        everything = tuple(self._machine.containers.values())
        return [c for c in everything if c.node == node and c.is_up and c.role not in FRONT]

    def _place(self, container: MemoryContainer) -> str | None:
        """The node that a container starts on; None: none takes it now."""
        if not self._nodes:
            return ""
        if container.role in FRONT:
            return self.front or next(iter(self._nodes))
        if not self.is_led:
            return None
        if home := self._home(container):
            node = self._nodes[home]
            return home if node.is_up and node.takes_tasks else None
        fit = self._fit(container)
        if not fit:
            return None
        counts = dict.fromkeys(fit, 0)
        for other in self._machine.beside(container):
            if other.node in counts and other.is_up and other.workload == container.workload:
                counts[other.node] += 1
        # In a tie the number decides, so that the first ones of all workloads are not on one node.
        fewest = min(counts.values())
        tied = [name for name in fit if counts[name] == fewest]
        chosen = tied[(container.number - 1 + sum(container.project.encode())) % len(tied)]
        if container.role is Role.DEPENDENCY:
            self._homes |= dict.fromkeys(container.mounts.values(), chosen)
        return chosen

    def _home(self, container: MemoryContainer) -> str:
        homes = (self._homes.get(volume, "") for volume in container.mounts.values())
        return next(filter(None, homes), "")

    def _fit(self, container: MemoryContainer, but: str = "") -> list[str]:
        return [
            each.name for each in self._nodes.values() if each.is_up and each.takes_tasks and each.name != but
        ]
