"""The lease as a config of a Swarm, to what answers as an engine does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.errors import EngineError
from reconciler.engines.lease import Lease
from reconciler.engines.swarm.engine import SwarmEngine
from reconciler.engines.swarm.lease import NAME, SwarmLease
from tests.engines.compose.fake_engine import VERSION, FakeEngine, at_socket

PATH = f"/v{VERSION}/configs/{NAME}"
CREATED = (201, b'{"ID": "c1"}')
REFUSED = (409, b'{"message": "rpc error: code = AlreadyExists"}')
OUT_OF_SEQUENCE = (500, b'{"message": "rpc error: code = Unknown desc = update out of sequence"}')
NO_LEADER = (503, b'{"message": "rpc error: code = Unknown desc = The swarm does not have a leader."}')
SERVICE = "s" * 25
HELD = Lease(7, "n1/ab", "node1", 3)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    with closing(at_socket(tmp_path / "engine.sock")) as engine:
        yield engine


@pytest.fixture
def lease(fake: FakeEngine) -> Iterator[SwarmLease]:
    with closing(DockerApi(f"unix://{fake.address}")) as docker:
        yield SwarmLease(docker)


def _stored(fake: FakeEngine) -> None:
    """The engine has the lease as it was last sent, in version 7."""
    spec = json.loads(fake.sent[-1][2])
    fake.answers[PATH] = (200, json.dumps({"Version": {"Index": 7}, "Spec": spec}).encode())


def test_what_is_written_is_read(fake: FakeEngine, lease: SwarmLease) -> None:
    assert lease.read() is None
    fake.answer_sent = lambda method, target: CREATED
    assert lease.write(None, "n1/ab", "node1", 3)
    assert fake.sent[-1][:2] == ("POST", f"/v{VERSION}/configs/create")
    _stored(fake)
    assert lease.read() == HELD
    assert lease.write(HELD, "", "", 3)
    assert fake.sent[-1][:2] == ("POST", f"{PATH}/update?version=7")
    _stored(fake)
    assert lease.read() == Lease(7, "", "", 3)


def test_of_two_that_write_at_the_same_time_one_is_told_that_it_came_late(
    fake: FakeEngine, lease: SwarmLease
) -> None:
    fake.answer_sent = lambda method, target: REFUSED
    assert not lease.write(None, "n1/ab", "node1", 1)
    fake.answer_sent = lambda method, target: OUT_OF_SEQUENCE
    assert not lease.write(HELD, "n1/ab", "node1", 3)


def test_without_a_leader_there_is_an_error(fake: FakeEngine, lease: SwarmLease) -> None:
    fake.answers[PATH] = NO_LEADER
    with pytest.raises(EngineError, match="does not have a leader"):
        lease.read()
    fake.answer_sent = lambda method, target: NO_LEADER
    with pytest.raises(EngineError, match="does not have a leader"):
        lease.write(HELD, "n1/ab", "node1", 3)


def test_a_config_of_that_name_that_is_no_lease_is_an_error(fake: FakeEngine, lease: SwarmLease) -> None:
    fake.answers[PATH] = (200, b'{"Version": {"Index": "seven"}, "Spec": {"Labels": {}}}')
    with pytest.raises(EngineError, match="was not understood"):
        lease.read()


def test_nothing_is_sent_to_a_swarm_without_permission(fake: FakeEngine) -> None:
    fake.answer_sent = lambda method, target: (200, b"{}")
    row = {
        "ID": SERVICE,
        "Version": {"Index": 7},
        "Spec": {"Name": "x", "TaskTemplate": {"ContainerSpec": {}}},
    }
    fake.answers[f"/v{VERSION}/services/{SERVICE}"] = (200, json.dumps(row).encode())

    def refuse() -> float:
        raise EngineError("another controller acts")

    with closing(SwarmEngine(f"unix://{fake.address}", refuse)) as engine:
        with pytest.raises(EngineError, match="another controller acts"):
            engine.remove((SERVICE,))
        with pytest.raises(EngineError, match="another controller acts"):
            engine.stop((SERVICE,), 1.0)
    assert fake.sent == []
    with closing(SwarmEngine(f"unix://{fake.address}")) as engine:
        engine.remove((SERVICE,))
    assert [method for method, _, _ in fake.sent] == ["DELETE"]


def test_it_is_told_once_that_there_was_never_a_lease(fake: FakeEngine, lease: SwarmLease) -> None:
    fake.answer_sent = lambda method, target: CREATED
    assert lease.is_first()
    assert json.loads(fake.sent[-1][2])["Name"] == "vault-lease-made"
    fake.answer_sent = lambda method, target: REFUSED
    assert not lease.is_first()
    fake.answer_sent = lambda method, target: NO_LEADER
    with pytest.raises(EngineError, match="does not have a leader"):
        lease.is_first()
