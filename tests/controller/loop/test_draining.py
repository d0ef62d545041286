"""A drained node is left to the engine when nothing is left on it that could move."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import GatewayNode, GatewayStatus
from reconciler.controller.loop.draining import settle, ways_in
from reconciler.core.desired.stack import Role
from reconciler.core.plan.draining import Placed
from reconciler.engines.nodes import Availability, Drain
from reconciler.store.base import WritableObjects
from reconciler.store.history import HistoryStore
from reconciler.store.objects import ObjectStore
from tests.controller.loop.gateways import apply_gateway
from tests.simulation.stores import MemoryRecords
from tests.web.kube.instances import FakeNodes, node

Gateways = WritableObjects[Any, Any]

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WEB = Placed("web-1", "shop", Role.WEB, "n2")
PINNED = Placed("db-1", "shop", Role.DEPENDENCY, "n2", pinned=True)


@pytest.fixture
def gateways(tmp_path: Path) -> Gateways:
    return ObjectStore(tmp_path).of(VAULT_GATEWAY)


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
    nodes: FakeNodes, done: tuple[str, ...], gateways: Gateways, tmp_path: Path
) -> None:
    drain, records = nodes.found[1].drain, HistoryStore(tmp_path / "history.sqlite3")
    assert settle(nodes, gateways, records, NOW) == done
    assert nodes.changed == [("id-n2", Availability.DRAIN, drain) for _ in done]
    assert settle(nodes, gateways, records, NOW) == (), "once"
    assert [each.reason for each in records.events(limit=10)] == ["NodeDrained" for _ in done]


def test_of_two_at_once_one_tells(gateways: Gateways, tmp_path: Path) -> None:
    records = HistoryStore(tmp_path / "history.sqlite3")

    class Meanwhile(FakeNodes):
        """Another one settles between the two looks of the first."""

        def placed(self) -> Sequence[Placed]:
            if not self.looks:
                self.looks += 1
                assert settle(self, gateways, records, NOW) == ("n2",)
            return super().placed()

    assert settle(Meanwhile([node("n1"), *_nodes().found[1:2]]), gateways, records, NOW) == ()
    (told,) = records.events(limit=10)
    assert told.count == 1


def test_without_a_drained_node_nothing_is_asked(gateways: Gateways) -> None:
    nodes = FakeNodes([node("n1")])
    assert settle(nodes, gateways, MemoryRecords(), NOW) == ()
    assert nodes.looks == 0


def test_the_gateways_that_come_in_by_a_node_are_known(gateways: Gateways) -> None:
    for name, selector in {
        "edge": {"ingress": "yes"},
        "every": {},
        "left": {"ingress": "former"},
        "other": {"ingress": "no"},
        "one": None,
    }.items():
        apply_gateway(gateways, name, selector)
    # Its HAProxy still finishes connections there.
    gateways.put_status("left", GatewayStatus(nodes=(GatewayNode(name="n3"),)))
    assert ways_in(gateways, node("n2", labels={"ingress": "yes", "zone": "a"})) == ("edge", "every")
    assert ways_in(gateways, node("n3")) == ("every", "left")


def test_a_way_in_is_left_to_the_engine_when_the_gateway_has_gone(gateways: Gateways, tmp_path: Path) -> None:
    nodes, records = _nodes(), HistoryStore(tmp_path / "history.sqlite3")
    apply_gateway(gateways, "edge", {})
    assert settle(nodes, gateways, records, NOW) == ()
    apply_gateway(gateways, "edge", {"ingress": "yes"})
    gateways.put_status("edge", GatewayStatus(nodes=(GatewayNode(name="n2"),)))
    assert settle(nodes, gateways, records, NOW) == ()
    assert not nodes.changed
    gateways.put_status("edge", GatewayStatus())
    assert settle(nodes, gateways, records, NOW) == ("n2",)
