"""What metrics tell of the nodes of a Swarm."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from metrics.nodes import NodeSnapshot, SwarmSnapshot, add_swarm
from reconciler.controller.report import node_board
from reconciler.controller.report.node_board import NodeBoard
from reconciler.core.desired.stack import Role
from reconciler.core.plan.draining import Placed
from reconciler.engines.errors import EngineAwayError
from reconciler.engines.nodes import Availability, Drain, Node
from tests.e2e.waiting import until
from tests.web.kube.instances import FakeNodes, node

NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Away(FakeNodes):
    """A Swarm that does not answer."""

    def all(self) -> Sequence[Node]:
        raise EngineAwayError("no leader")


class Changed(FakeNodes):
    """A Swarm whose second answer lacks what a node has to have."""

    def placed(self) -> Sequence[Placed]:
        placed = super().placed()
        if self.looks == 2:
            raise KeyError("Status")
        return placed


def test_each_node_has_what_is_known_of_it() -> None:
    nodes = FakeNodes(
        [
            node("n1", is_reachable=True),
            node("n2", is_reachable=False, is_up=False, availability=Availability.PAUSE, drain=Drain(NOW)),
            node("n3", is_manager=False),
        ],
        [
            Placed("web-1", "shop", Role.WEB, "n1", is_ready=True),
            Placed("web-2", "shop", Role.WEB, "n1"),
            Placed("web-3", "shop", Role.WEB, "n2", is_up=False, lacks_image=True),
        ],
    )
    board = NodeBoard(nodes)
    assert board.snapshot() is None
    board.look()
    assert board.snapshot() == SwarmSnapshot(
        answers=True,
        nodes=(
            NodeSnapshot(name="n1", up=True, instances={"present": 2, "ready": 1}),
            NodeSnapshot(
                name="n2",
                up=False,
                availability="pause",
                draining=True,
                instances={"present": 0, "ready": 0},
                images_missing=1,
            ),
            NodeSnapshot(name="n3", up=True, instances={"present": 0, "ready": 0}),
        ),
        managers=2,
        reachable=1,
    )


def test_a_swarm_that_does_not_answer_has_no_nodes_that_may_be_old() -> None:
    board = NodeBoard(Away())
    board.look()
    samples: list[tuple[object, ...]] = []
    seen = board.snapshot()
    assert seen is not None
    add_swarm(lambda metric, value, *labels: samples.append((metric.name, value, *labels)), seen)
    assert samples == [("vault_swarm_observed", 0)]


def test_an_answer_that_is_not_understood_ends_no_later_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_board, "ROUND_SECONDS", 0.001)
    nodes, stop, seen = Changed([node("n1")]), threading.Event(), []

    class Noted(NodeBoard):
        def look(self) -> None:
            if (before := self.snapshot()) is not None:
                seen.append(before.answers)
            super().look()

    Noted(nodes).keep(stop)
    until("there were four looks", lambda: nodes.looks >= 4)
    stop.set()
    assert seen[:3] == [True, False, True]
