"""What `doctor` says of a Swarm."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import psutil
import pytest

from reconciler.app.checkup.finding import Level
from reconciler.app.checkup.swarm import check_swarm, connects, interface_mtu
from reconciler.core.desired.stack import Role
from reconciler.core.plan.draining import Placed
from reconciler.engines.nodes import Availability, Node, SwarmFacts
from tests.web.kube.instances import node

FACTS = SwarmFacts(overlays={"net": 1500}, skews={"n1": -0.1, "n2": 0.0}, images=("r/a@sha256:1",))


def manager(number: int, **changes: Any) -> Node:
    fields = {"is_reachable": True, "address": f"10.0.0.{number}", "is_own": number == 1, **changes}
    return node(f"n{number}", **fields)


def found(
    nodes: Sequence[Node],
    facts: SwarmFacts = FACTS,
    placed: Sequence[Placed] = (),
    closed: Sequence[tuple[str, int]] = (),
    mtu: int | None = 1500,
) -> dict[str, tuple[Level, str, str]]:
    findings = list(check_swarm(nodes, placed, facts, lambda *at: at not in closed, lambda address: mtu))
    return {each.check.removeprefix("swarm: "): (each.level, each.message, each.fix) for each in findings}


THREE = [manager(number) for number in (1, 2, 3)]


def test_nothing_is_wrong_with_a_swarm_that_is_well() -> None:
    seen = found(THREE)
    assert {level for level, _, _ in seen.values()} == {Level.OK}
    assert list(seen) == ["quorum", "nodes", "ports", "MTU", "clocks", "images"]
    assert seen["quorum"][1] == "3 managers, of which 1 may fail"
    assert "not known of n3" in seen["clocks"][1]


@pytest.mark.parametrize(
    ("managers", "level", "text"),
    [
        ([manager(1)], Level.WARN, "there is one manager"),
        ([manager(1), manager(2)], Level.WARN, "2 managers bear the loss of 0, as 1 would"),
        ([*THREE, manager(4)], Level.WARN, "4 managers bear the loss of 1, as 3 would"),
        (
            [*THREE[:2], manager(3, is_reachable=False)],
            Level.FAIL,
            "2 of 3 managers reach each other; away: n3",
        ),
        (
            [*THREE, manager(4), manager(5, is_reachable=False)],
            Level.WARN,
            "4 of 5 managers reach each other; away: n5",
        ),
    ],
)
def test_the_quorum(managers: list[Node], level: Level, text: str) -> None:
    assert found(managers)["quorum"][:2] == (level, text) or found(managers)["quorum"][1].startswith(text)
    assert found(managers)["quorum"][0] is level


def test_nodes_that_are_down_or_closed_are_named() -> None:
    down = manager(2, is_up=False, problem="is down: heartbeat failure")
    assert found([THREE[0], down, THREE[2]])["nodes"][:2] == (Level.FAIL, "n2 is down: heartbeat failure")
    closed = manager(2, availability=Availability.PAUSE)
    findings = [
        each
        for each in check_swarm([THREE[0], closed], (), FACTS, lambda *at: True, lambda address: 1500)
        if each.check == "swarm: nodes"
    ]
    assert [each.level for each in findings] == [Level.WARN, Level.OK]
    assert findings[0].fix == "`vaultctl uncordon n2` when the work on it is done"


def test_ports_are_tried_on_the_others_that_are_up() -> None:
    worker = node("n4", is_manager=False, is_own=False, address="10.0.0.4")
    seen = found([*THREE, worker], closed=[("10.0.0.3", 2377), ("10.0.0.4", 7946), ("10.0.0.1", 7946)])
    level, message, fix = seen["ports"]
    assert level is Level.FAIL
    assert message == "closed from this node: n3 (10.0.0.3:2377), n4 (10.0.0.4:7946)"
    assert "4789/udp" in fix
    assert found([*THREE, worker], closed=[("10.0.0.4", 2377)])["ports"][0] is Level.OK


def test_overlays_that_are_larger_than_the_interface() -> None:
    facts = SwarmFacts(overlays={"small": 1400, "usual": 1500})
    level, message, fix = found(THREE, facts, mtu=1450)["MTU"]
    assert (level, "usual (1500)" in message, "small" in message) == (Level.WARN, True, False)
    assert '"com.docker.network.driver.mtu": "1450"' in fix
    assert "MTU" not in found(THREE, facts, mtu=None), "an address that is not of this machine"


@pytest.mark.parametrize(("skew", "text"), [(3600.0, "3600 s ahead of"), (-61.0, "61 s behind")])
def test_a_clock_that_is_off(skew: float, text: str) -> None:
    level, message, _ = found(THREE, SwarmFacts(skews={"n2": skew, "n1": 0.0}))["clocks"]
    assert level is Level.WARN
    assert message == f"the clock of n2 is {text} that of the leading manager"


def test_images_that_a_node_cannot_get() -> None:
    facts = SwarmFacts(
        images=("r/a@sha256:1", "sha256:2"), unnamed=("sha256:2",), unavailable={"r/a@sha256:1": "no route"}
    )
    lacking = Placed("web-1", "shop", Role.WEB, "n3", lacks_image=True)
    findings = [
        each
        for each in check_swarm(THREE, [lacking], facts, lambda *at: True, lambda address: 1500)
        if each.check == "swarm: images"
    ]
    assert [each.level for each in findings] == [Level.WARN, Level.WARN, Level.FAIL]
    assert "r/a@sha256:1: no route" in findings[0].message
    assert "is in no registry" in findings[1].message
    assert findings[2].message == "n3 has not got the image of web-1, and cannot pull it"


def test_a_port_that_listens_and_one_that_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert connects("127.0.0.1", port)
    assert not connects("127.0.0.1", port)


def test_the_mtu_is_that_of_the_interface_with_the_address() -> None:
    assert interface_mtu("127.0.0.1") == psutil.net_if_stats()["lo"].mtu
    assert interface_mtu("203.0.113.9") is None
