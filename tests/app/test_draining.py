"""Closing, emptying and opening a node."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.errors import PermanentError
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.app.draining import NotDrainedError, cordon, drain, uncordon, wait_until_drained
from reconciler.app.finding import NotFoundError
from reconciler.core.desired.stack import Role
from reconciler.core.plan.draining import Placed, Remaining
from reconciler.engines.nodes import Availability, Drain
from reconciler.store.base import WritableObjects
from reconciler.store.objects import ObjectStore
from tests.controller.loop.gateways import apply_gateway
from tests.simulation.stores import MemoryRecords
from tests.web.kube.instances import FakeNodes, node

Gateways = WritableObjects[Any, Any]

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
WEB = Placed("web-1", "shop", Role.WEB, "n2")
OTHER = Placed("web-2", "shop", Role.WEB, "n2")
PINNED = Placed("db-1", "shop", Role.DEPENDENCY, "n2", pinned=True)
JOB = Placed("migrate-1", "shop", Role.JOB, "n2")


@pytest.fixture
def nodes() -> FakeNodes:
    return FakeNodes([node("n1"), node("n2"), node("n3")])


@pytest.fixture
def gateways(tmp_path: Path) -> Gateways:
    return ObjectStore(tmp_path).of(VAULT_GATEWAY)


def test_a_cordoned_node_keeps_what_it_has(nodes: FakeNodes) -> None:
    cordon(nodes, "n2")
    cordon(nodes, "n2")
    assert nodes.changed == [("id-n2", Availability.PAUSE, None)]
    uncordon(nodes, "id-n2")
    uncordon(nodes, "n2")
    assert nodes.changed[1:] == [("id-n2", Availability.ACTIVE, None)]


def test_cordoning_does_not_take_a_drain_back_and_uncordoning_does(
    nodes: FakeNodes, gateways: Gateways
) -> None:
    drain(nodes, gateways, "n2", NOW, stops_pinned=False)
    cordon(nodes, "n2")
    assert nodes.found[1].drain == Drain(NOW)
    uncordon(nodes, "n2")
    assert (nodes.found[1].availability, nodes.found[1].drain) == (Availability.ACTIVE, None)


def test_a_repeated_request_keeps_its_time(nodes: FakeNodes, gateways: Gateways) -> None:
    drain(nodes, gateways, "n2", NOW, stops_pinned=False)
    drain(nodes, gateways, "n2", LATER, stops_pinned=True)
    drain(nodes, gateways, "n2", LATER, stops_pinned=False)
    assert nodes.found[1].drain == Drain(NOW, stops_pinned=True)
    assert nodes.found[1].availability is Availability.PAUSE


def test_what_the_engine_drained_by_itself_is_left_so(nodes: FakeNodes, gateways: Gateways) -> None:
    nodes.found[1] = node("n2", availability=Availability.DRAIN)
    drain(nodes, gateways, "n2", NOW, stops_pinned=False)
    assert nodes.changed == []


def test_the_last_node_that_takes_instances_is_not_drained(nodes: FakeNodes, gateways: Gateways) -> None:
    nodes.found[0], nodes.found[2] = node("n1", is_up=False), node("n3", availability=Availability.PAUSE)
    with pytest.raises(PermanentError, match="no other node takes instances, so none can leave n2"):
        drain(nodes, gateways, "n2", NOW, stops_pinned=False)
    with pytest.raises(NotFoundError, match="there is no node 'n9'"):
        drain(nodes, gateways, "n9", NOW, stops_pinned=False)
    assert nodes.changed == []


def _wait(
    nodes: FakeNodes, gateways: Gateways, *after: Callable[[], None], timeout: float = 60.0
) -> tuple[object, list[str]]:
    """Wait, while each of these happens between two looks."""
    clock, told, happens = [0.0], list[str](), iter(after)

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        next(happens, lambda: None)()

    left = wait_until_drained(
        nodes,
        gateways,
        MemoryRecords(),
        "n2",
        timeout,
        told.append,
        now=lambda: LATER,
        clock=lambda: clock[0],
        sleep=sleep,
    )
    return left, told


def test_what_is_left_is_told_until_the_engine_has_the_node(nodes: FakeNodes, gateways: Gateways) -> None:
    drain(nodes, gateways, "n2", NOW, stops_pinned=False)
    nodes.here = [WEB, OTHER, JOB]

    def moved() -> None:
        nodes.here = [JOB]

    _, told = _wait(
        nodes, gateways, lambda: None, moved, nodes.here.clear, lambda: setattr(nodes, "here", [])
    )
    assert told == ["moving shop (2); waiting for jobs shop (1)", "waiting for jobs shop (1)"]
    assert nodes.found[1].availability is Availability.DRAIN


def test_what_is_pinned_ends_the_wait(nodes: FakeNodes, gateways: Gateways) -> None:
    drain(nodes, gateways, "n2", NOW, stops_pinned=False)
    nodes.here = [PINNED]
    left, _ = _wait(nodes, gateways)
    assert left.pinned == (PINNED,)  # type: ignore[attr-defined]
    assert nodes.found[1].availability is Availability.PAUSE


def test_a_way_in_is_emptied_and_stays_closed(nodes: FakeNodes, gateways: Gateways) -> None:
    apply_gateway(gateways, "edge", {})
    drain(nodes, gateways, "n2", NOW, stops_pinned=False)
    nodes.here = [WEB]
    left, told = _wait(nodes, gateways, lambda: setattr(nodes, "here", []))
    assert (told, left) == (["moving shop (1)"], Remaining())
    assert nodes.found[1].availability is Availability.PAUSE
    with pytest.raises(
        PermanentError, match="n2 is a way in of the gateway edge, and --stop-pinned would end"
    ):
        drain(nodes, gateways, "n2", NOW, stops_pinned=True)
    assert nodes.found[1].drain == Drain(NOW)


def test_a_wait_has_an_end_that_names_what_is_left(nodes: FakeNodes, gateways: Gateways) -> None:
    drain(nodes, gateways, "n2", NOW, stops_pinned=False)
    nodes.here = [WEB]
    with pytest.raises(
        NotDrainedError, match=r"not empty after 3 s: moving shop \(1\)\. The controller goes on"
    ):
        _wait(nodes, gateways, timeout=3.0)
    with pytest.raises(PermanentError, match="was uncordoned meanwhile"):
        # Also beside us, by `docker node update`.
        _wait(nodes, gateways, lambda: nodes.change("id-n2", Availability.ACTIVE, Drain(NOW)))
