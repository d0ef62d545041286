"""A drained node is left to the engine when nothing is left on it that could move."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.controller.loop.draining import settle
from reconciler.core.desired.stack import Role
from reconciler.core.plan.draining import Placed
from reconciler.engines.nodes import Availability, Drain
from reconciler.store.history import HistoryStore
from tests.simulation.stores import MemoryRecords
from tests.web.kube.instances import FakeNodes, node

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WEB = Placed("web-1", "shop", Role.WEB, "n2")
PINNED = Placed("db-1", "shop", Role.DEPENDENCY, "n2", pinned=True)


def _nodes(
    *placed: Placed, stops_pinned: bool = False, availability: Availability = Availability.PAUSE
) -> FakeNodes:
    drained = node("n2", availability=availability, drain=Drain(NOW, stops_pinned))
    return FakeNodes([node("n1"), drained, node("n3", availability=Availability.PAUSE)], list(placed))


@pytest.mark.parametrize(
    ("nodes", "done"),
    [
        (_nodes(), ("n2",)),
        (_nodes(WEB), ()),
        (_nodes(PINNED), ()),
        (_nodes(PINNED, stops_pinned=True), ("n2",)),
        (_nodes(availability=Availability.DRAIN), ()),
        (_nodes(availability=Availability.ACTIVE), ()),
    ],
)
def test_only_one_that_is_free_is_left_to_the_engine(
    nodes: FakeNodes, done: tuple[str, ...], tmp_path: Path
) -> None:
    drain, records = nodes.found[1].drain, HistoryStore(tmp_path / "history.sqlite3")
    assert settle(nodes, records, NOW) == done
    assert nodes.changed == [("id-n2", Availability.DRAIN, drain) for _ in done]
    assert settle(nodes, records, NOW) == (), "once"
    assert [each.reason for each in records.events(limit=10)] == ["NodeDrained" for _ in done]


def test_of_two_at_once_one_tells(tmp_path: Path) -> None:
    records = HistoryStore(tmp_path / "history.sqlite3")

    class Meanwhile(FakeNodes):
        """Another one settles between the two looks of the first."""

        def placed(self) -> Sequence[Placed]:
            if not self.looks:
                self.looks += 1
                assert settle(self, records, NOW) == ("n2",)
            return super().placed()

    assert settle(Meanwhile([node("n1"), *_nodes().found[1:2]]), records, NOW) == ()
    (told,) = records.events(limit=10)
    assert told.count == 1


def test_without_a_drained_node_nothing_is_asked() -> None:
    nodes = FakeNodes([node("n1")])
    assert settle(nodes, MemoryRecords(), NOW) == ()
    assert nodes.looks == 0
