"""Nodes of a Swarm, to what answers as an engine does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.errors import RefusedError
from reconciler.engines.nodes import Availability, Drain
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.nodes import SwarmNodes
from tests.engines.compose.fake_engine import VERSION, FakeEngine, at_socket

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SERVICES = [letter * 25 for letter in "abc"]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    with closing(at_socket(tmp_path / "engine.sock")) as engine:
        engine.answer_sent = lambda method, target: (200, b"")
        yield engine


@pytest.fixture
def nodes(fake: FakeEngine) -> Iterator[SwarmNodes]:
    with closing(DockerApi(f"unix://{fake.address}")) as docker:
        yield SwarmNodes(SwarmApi(docker), lambda: "n1")


def _answer(fake: FakeEngine, path: str, document: object) -> None:
    fake.answers[f"/v{VERSION}{path}"] = (200, json.dumps(document).encode())


def _node(name: str, **spec: Any) -> Mapping[str, Any]:
    return {
        "ID": name,
        "Version": {"Index": 7},
        "Spec": {"Role": "manager", "Availability": "active", "Labels": {"zone": "a"}, **spec},
        "Description": {"Hostname": name},
        "Status": {"State": "ready"},
    }


def test_a_drain_is_written_with_the_node_and_taken_back(fake: FakeEngine, nodes: SwarmNodes) -> None:
    _answer(fake, "/nodes/n2", _node("n2"))
    nodes.change("n2", Availability.PAUSE, Drain(NOW, stops_pinned=True))
    ((_, target, body),) = fake.sent
    assert target == f"/v{VERSION}/nodes/n2/update?version=7"
    written = json.loads(body)
    assert (written["Availability"], written["Role"]) == ("pause", "manager")
    assert written["Labels"] == {
        "zone": "a",
        "internal.vault.drain": "2026-05-01T12:00:00+00:00",
        "internal.vault.drain-pinned": "true",
    }
    _answer(fake, "/nodes/n2", _node("n2", **written))
    nodes.change("n2", Availability.ACTIVE, None)
    assert json.loads(fake.sent[-1][2])["Labels"] == {"zone": "a"}


def test_of_two_that_leave_a_drained_node_to_swarm_one_does(fake: FakeEngine, nodes: SwarmNodes) -> None:
    marks = {"internal.vault.drain": NOW.isoformat()}
    _answer(fake, "/nodes/n2", _node("n2", Availability="pause", Labels=marks))

    def the_other_was_first(method: str, target: str) -> tuple[int, bytes]:
        _answer(fake, "/nodes/n2", _node("n2", Availability="drain", Labels=marks))
        return 500, b'{"message": "rpc error: update out of sequence"}'

    fake.answer_sent, answer = the_other_was_first, fake.answer_sent
    assert not nodes.leave("n2")
    assert len(fake.sent) == 1

    fake.answer_sent = answer
    _answer(fake, "/nodes/n2", _node("n2", Availability="pause", Labels=marks))
    assert nodes.leave("n2")
    assert json.loads(fake.sent[-1][2])["Availability"] == "drain"


def test_a_node_that_was_opened_meanwhile_is_not_left(fake: FakeEngine, nodes: SwarmNodes) -> None:
    _answer(fake, "/nodes/n2", _node("n2"))
    assert not nodes.leave("n2")
    assert not fake.sent


def test_a_node_that_is_gone_is_an_error(nodes: SwarmNodes) -> None:
    with pytest.raises(RefusedError, match="the Swarm has no node n9"):
        nodes.change("n9", Availability.PAUSE, None)


def _service(number: int, *, pinned: bool = False, constraints: tuple[str, ...] = ()) -> Mapping[str, Any]:
    marks = {"service": "shop", "role": "web", "workload": "web", **({"pinned": "n2"} if pinned else {})}
    return {
        "ID": SERVICES[number],
        "CreatedAt": "2026-05-01T12:00:00Z",
        "UpdatedAt": "2026-05-01T12:00:00Z",
        "Spec": {
            "Name": f"vault-shop-web-{number}",
            "Labels": {f"internal.vault.{name}": value for name, value in marks.items()},
            "Mode": {"Replicated": {"Replicas": 1}},
            "TaskTemplate": {"Placement": {"Constraints": list(constraints)}},
        },
    }


def _task(number: int, state: str, at: int = 1, error: str = "") -> Mapping[str, Any]:
    return {
        "ID": f"t{number}{at}",
        "ServiceID": SERVICES[number],
        "CreatedAt": f"2026-05-01T12:00:0{at}Z",
        "NodeID": "n2",
        "Status": {"State": state, "Timestamp": f"2026-05-01T12:00:0{at}Z", "Err": error},
    }


def test_instances_say_whether_they_can_leave_and_whether_their_image_is_there(
    fake: FakeEngine, nodes: SwarmNodes
) -> None:
    drained = {"internal.vault.drain": NOW.isoformat()}
    _answer(fake, "/nodes", [_node("n1"), _node("n2", Availability="pause", Labels=drained)])
    _answer(
        fake,
        "/services",
        [_service(0), _service(1, pinned=True), _service(2, constraints=("node.hostname==n2",))],
    )
    tasks = [
        _task(0, "rejected", error="No such image: r/a:1"),
        # The next one waits for its turn.
        _task(0, "ready", at=2),
        _task(1, "running"),
        _task(2, "running"),
    ]
    _answer(fake, "/tasks", tasks)
    free, pinned, tied = nodes.placed()
    assert (free.node, free.pinned, free.lacks_image, free.is_up) == ("n2", False, True, True)
    assert (pinned.pinned, pinned.is_ready, pinned.lacks_image) == (True, True, False)
    assert tied.pinned, "no other node satisfies its constraint"


def test_volumes_of_a_node_are_those_whose_record_names_it(fake: FakeEngine, nodes: SwarmNodes) -> None:
    def record(volume: str, node: str) -> Mapping[str, Any]:
        marks = {"internal.vault.volume": volume, "internal.vault.node": node}
        return {"Spec": {"Labels": {**marks, "com.docker.stack.namespace": "vault-shop"}}}

    _answer(fake, "/configs", [record("shop_b", "n2"), record("shop_a", "n2"), record("shop_c", "n1")])
    assert nodes.volumes("n2") == [("shop_a", "vault-shop"), ("shop_b", "vault-shop")]
