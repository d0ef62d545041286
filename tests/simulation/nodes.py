"""Histories on several nodes: nodes fail or are cut off and come back, before or after what ran there was moved; they are
closed, drained and opened again.

In the end all nodes are there, and one may be drained: then nothing is on it that could be elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

from reconciler.core.assess.capabilities import EngineCapabilities
from reconciler.core.plan.draining import remaining
from reconciler.engines.memory.nodes import MOVE_SECONDS
from reconciler.engines.nodes import Availability, Drain, Node
from tests.simulation.services import Wish
from tests.simulation.simulation import Simulation
from tests.simulation.story import Violation

NODES: Final = ("n1", "n2", "n3", "n4")
SHARES: Final = "joined"
"""The plugin whose containers share namespaces, which no two nodes can."""


class OnNodes(Simulation):
    """The world of one seed, on an engine of several nodes. `moves` counts what was started elsewhere; `drained` says
    whether a node was empty in the end, as was asked.
    """

    def __init__(self, seed: int) -> None:
        # Of its own, so that it decides about nothing else.
        self._chance = Random(seed)
        self.moves = 0
        self.drained = False
        self._where: dict[str, str] = {}
        super().__init__(seed, EngineCapabilities(one_node=False))
        for name in NODES[: self._chance.choice([2, 3, 4])]:
            self.engine.nodes.add(name)

    def _ask_for(self, wish: Wish) -> None:
        super()._ask_for(replace(wish, plugin="web") if wish.plugin == SHARES else wish)

    def _advance(self, seconds: float) -> None:
        super()._advance(seconds)
        for container in self.machine.containers.values():
            if container.node and self._where.setdefault(container.id, container.node) != container.node:
                self._where[container.id] = container.node
                self.moves += 1

    def _something_breaks(self) -> None:
        if self._chance.random() < 0.4:
            self._node_breaks()
            self.machine.settle()
        else:
            super()._something_breaks()

    def _node_breaks(self) -> None:
        nodes, chance = self.engine.nodes, self._chance
        node = chance.choice(nodes.all())
        match chance.choice(
            ["fail", "fail", "flap", "back", "cordon", "uncordon", "drain", "drain", "engine drain"]
        ):
            case "fail" if not node.is_own:
                self._tell_of(node, "fails")
                nodes.lose(node.name)
            case "flap" if not node.is_own:
                seconds = chance.uniform(0, 2 * MOVE_SECONDS)
                self._tell_of(node, f"is cut off for {seconds:.1f} s")
                nodes.lose(node.name)
                self._advance(seconds)
                nodes.find(node.name)
            case "back":
                self._tell_of(node, "is back")
                nodes.find(node.name)
            case "engine drain" if self._others(node):
                # As `docker node update` does it, without asking the controller.
                self._tell_of(node, "is drained by the engine")
                nodes.change(node.id, Availability.DRAIN, None)
            case command:
                self._commanded(command, node)
        self._due = min(self._due, self._time)

    def _commanded(self, command: str, node: Node) -> None:
        """What a command of vaultctl does to a node."""
        match command:
            case "cordon":
                self._tell_of(node, "is cordoned")
                self.engine.nodes.change(node.id, Availability.PAUSE, node.drain)
            case "uncordon":
                self._tell_of(node, "is uncordoned")
                self.engine.nodes.change(node.id, Availability.ACTIVE, None)
            case "drain" if self._others(node):
                self._drain(node)

    def _others(self, node: Node) -> bool:
        return any(each.is_up and each.takes_tasks and each.id != node.id for each in self.engine.nodes.all())

    def _drain(self, node: Node) -> None:
        self._tell_of(node, "is drained")
        self.engine.nodes.change(node.id, Availability.PAUSE, Drain(self.now()))

    def _tell_of(self, node: Node, what: str) -> None:
        self.story.tell("world", f"node {node.name} {what}")

    def _calm(self) -> None:
        for node in self.engine.nodes.all():
            self.engine.nodes.find(node.name)
            self.engine.nodes.change(node.id, Availability.ACTIVE, None)
        # What has its data on a closed node starts no more there, and nowhere else.
        nodes = [node for node in self.engine.nodes.all() if not self.engine.nodes.volumes(node.id)]
        if nodes and self._chance.random() < 0.6:
            self._drain(self._chance.choice(nodes))
        super()._calm()

    def _check_end(self) -> None:
        super()._check_end()
        for node in self.engine.nodes.drained:
            left = remaining(node, self.engine.nodes.placed())
            if left.moving:
                raise Violation(
                    f"node {node} is drained, and has {', '.join(each.name for each in left.moving)}"
                )
            self.drained = True
