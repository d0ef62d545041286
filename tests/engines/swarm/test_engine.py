"""Beside Swarm: the containers of tasks that it is told to stop are ended by the engines themselves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reconciler.controller.loop.election import StandbyError
from reconciler.engines.base import EngineEvent
from reconciler.engines.compose.api import DockerApi
from reconciler.engines.compose.engine import ComposeEngine
from reconciler.engines.errors import EngineAwayError
from reconciler.engines.nodes import Availability
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.engine import SwarmEngine
from reconciler.engines.swarm.watch import watched
from tests.e2e.waiting import until
from tests.engines.compose.fake_engine import VERSION, FakeEngine, at_socket

OWN, OTHER, LAST = "n1", "n2", "n3"
SERVICE = "a" * 25


@pytest.fixture
def fakes(tmp_path: Path) -> Iterator[Mapping[str, FakeEngine]]:
    """The engines of two nodes; the first one is a manager, and an agent leads to the second one."""
    with closing(at_socket(tmp_path / "1")) as own, closing(at_socket(tmp_path / "2")) as other:
        for fake in (own, other):
            fake.answer_sent = lambda method, target: (200, b"{}")
        _answer(own, "/info", {"Name": "a", "Swarm": {"NodeID": OWN, "ControlAvailable": True}})
        yield {OWN: own, OTHER: other}


@pytest.fixture
def engine(fakes: Mapping[str, FakeEngine]) -> Iterator[SwarmEngine]:
    with closing(SwarmEngine(f"unix://{fakes[OWN].address}")) as engine:
        yield engine


class Reached:
    """What is known of other nodes; they may be away."""

    def __init__(self, engines: Mapping[str, ComposeEngine] | None) -> None:
        self._engines = engines

    def reached(self) -> Mapping[str, ComposeEngine]:
        if self._engines is None:
            raise EngineAwayError("the Swarm does not answer")
        return self._engines


def _answer(fake: FakeEngine, path: str, document: object) -> None:
    fake.answers[f"/v{VERSION}{path}"] = (200, json.dumps(document).encode())


def _task(number: int, node: str, state: str = "running") -> dict[str, Any]:
    return {
        "ID": str(number),
        "ServiceID": SERVICE,
        "NodeID": node,
        "CreatedAt": f"2026-01-01T00:00:0{number}Z",
        "Status": {"State": state, "ContainerStatus": {"ContainerID": f"c{number}"}},
    }


def _stops(fake: FakeEngine) -> set[str]:
    return {
        target.partition("?")[0].removeprefix(f"/v{VERSION}")
        for _, target, _ in fake.sent
        if "/stop" in target
    }


def _run(fakes: Mapping[str, FakeEngine], *tasks: dict[str, Any]) -> None:
    spec = {"Name": "x", "Mode": {"Replicated": {"Replicas": 1}}, "TaskTemplate": {}}
    _answer(fakes[OWN], f"/services/{SERVICE}", {"ID": SERVICE, "Version": {"Index": 7}, "Spec": spec})
    _answer(fakes[OWN], "/tasks", list(tasks))


def test_the_engines_that_are_reached_end_what_swarm_is_told_to_end(
    fakes: Mapping[str, FakeEngine], engine: SwarmEngine
) -> None:
    with closing(ComposeEngine(f"unix://{fakes[OTHER].address}")) as other:
        engine._fronts = Reached({OTHER: other})  # type: ignore[assignment]
        _run(fakes, _task(1, OWN), _task(2, OTHER), _task(3, LAST), _task(4, OWN, "shutdown"))
        engine.stop((SERVICE,), 7.0)
        until("both are asked", lambda: _stops(fakes[OWN]) and _stops(fakes[OTHER]), 10.0)
    # First of all, Swarm is told: it would start another task for one that ends.
    _, first, body = fakes[OWN].sent[0]
    assert first.startswith(f"/v{VERSION}/services/{SERVICE}/update")
    assert json.loads(body)["Mode"] == {"Replicated": {"Replicas": 0}}
    assert (_stops(fakes[OWN]), _stops(fakes[OTHER])) == ({"/containers/c1/stop"}, {"/containers/c2/stop"})
    assert any("t=7" in target for _, target, _ in fakes[OTHER].sent)


def test_nodes_that_are_not_reached_are_left_to_swarm(
    fakes: Mapping[str, FakeEngine], engine: SwarmEngine
) -> None:
    engine._fronts = Reached(None)  # type: ignore[assignment]
    _run(fakes, _task(1, OWN), _task(2, OTHER))
    engine.stop((SERVICE,), 7.0)
    until("the own one is asked", lambda: _stops(fakes[OWN]), 10.0)
    assert not _stops(fakes[OTHER])


def test_nothing_is_ended_of_an_instance_that_runs_nothing(
    fakes: Mapping[str, FakeEngine], engine: SwarmEngine
) -> None:
    _run(fakes, _task(1, OWN, "complete"))
    engine.stop((SERVICE,), 7.0)
    assert not _stops(fakes[OWN])


def test_a_node_is_closed_and_opened_by_a_command_without_the_lease(fakes: Mapping[str, FakeEngine]) -> None:
    def allow() -> float:
        raise StandbyError("no controller holds the lease of the Swarm yet", 15.0)

    node = {"ID": OTHER, "Version": {"Index": 7}, "Spec": {"Availability": "active"}}
    _answer(fakes[OWN], f"/nodes/{OTHER}", node)
    with closing(SwarmEngine(f"unix://{fakes[OWN].address}", allow)) as engine:
        engine.nodes.change(OTHER, Availability.PAUSE, None)
        _run(fakes, _task(1, OWN))
        with pytest.raises(StandbyError):
            engine.stop((SERVICE,), 7.0)
    ((_, target, body),) = fakes[OWN].sent
    assert target.startswith(f"/v{VERSION}/nodes/{OTHER}/update")
    assert json.loads(body)["Availability"] == "pause"


def test_a_node_that_changes_may_concern_any_object(fakes: Mapping[str, FakeEngine]) -> None:
    own, seen = fakes[OWN], list[EngineEvent]()

    def here() -> Iterator[EngineEvent]:
        threading.Event().wait()
        yield EngineEvent("never")

    def node(**labels: str) -> dict[str, Any]:
        return {
            "ID": OWN,
            "Spec": {"Labels": labels},
            "Status": {"State": "ready"},
            "Description": {"Hostname": "a"},
        }

    _answer(own, "/tasks", [])
    _answer(own, "/nodes", [node(ingress="yes")])
    with closing(DockerApi(f"unix://{own.address}")) as docker:
        events = watched(here, SwarmApi(docker))
        threading.Thread(target=lambda: seen.append(next(events)), daemon=True).start()
        until("it has looked", lambda: sum("/nodes" in each for each in own.asked) > 1, 10.0)
        _answer(own, "/nodes", [node()])
        until("it is told", lambda: seen, 10.0)
        events.close()
    assert seen == [EngineEvent("")]
