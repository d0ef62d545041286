"""The nodes of a Swarm, and each Pod on its node, in the tables that kubectl prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler.engines.errors import EngineAwayError
from reconciler.engines.nodes import Availability, Node
from tests.web.kube.in_process import InProcess
from tests.web.kube.instances import FakeEngine, FakeNodes, instance, node

TABLE = b"application/json;as=Table;v=v1;g=meta.k8s.io"


class Nodes(FakeNodes):
    """Two nodes of a Swarm, which may be away."""

    away = False

    def all(self) -> Sequence[Node]:
        if self.away:
            raise EngineAwayError("no leader")
        return super().all()


@pytest.fixture
def nodes() -> Nodes:
    return Nodes(
        [
            node("node1", address="10.0.0.1", labels={"zone": "west"}),
            node("node2", is_manager=False, availability=Availability.PAUSE, address="10.0.0.2"),
        ]
    )


@pytest.fixture
def api(tmp_path: Path, nodes: Nodes) -> Iterator[InProcess]:
    with InProcess(tmp_path) as api:
        api.instances.found = [
            instance("vault-files-web-1", node="node1"),
            instance("vault-files-web-2", node="node2"),
        ]
        api.application.__dict__["engine"] = FakeEngine(api.instances, nodes)
        yield api


def _rows(api: InProcess, path: str) -> list[dict[str, Any]]:
    """The rows of a table, by the titles of its columns."""
    path, _, query = path.partition("?")
    headers = [*api.login("view"), (b"accept", TABLE)]
    table = json.loads(api.call("GET", path, query.encode(), headers).content)
    titles = [each["name"] for each in table["columnDefinitions"]]
    return [dict(zip(titles, row["cells"], strict=True)) for row in table["rows"]]


def test_nodes_have_their_status_roles_address_and_zone(api: InProcess) -> None:
    first, second = _rows(api, "/api/v1/nodes")
    assert (first["Name"], first["Status"], first["Roles"]) == ("node1", "Ready", "control-plane")
    assert (first["Internal-IP"], first["Zone"], second["Zone"]) == ("10.0.0.1", "west", None)
    assert (second["Status"], second["Roles"]) == ("Ready,SchedulingDisabled", "worker")


def test_pods_are_on_their_nodes(api: InProcess) -> None:
    pods = _rows(api, "/api/v1/namespaces/default/pods")
    assert [pod["Node"] for pod in pods] == ["node1", "node2"]
    chosen = _rows(api, "/api/v1/namespaces/default/pods?fieldSelector=spec.nodeName%3Dnode2")
    assert [pod["Name"] for pod in chosen] == ["vault-files-web-2"]


def test_nodes_of_a_swarm_that_does_not_answer_are_not_ready(api: InProcess, nodes: Nodes) -> None:
    assert len(_rows(api, "/api/v1/nodes")) == 2
    nodes.away = True
    assert [row["Status"] for row in _rows(api, "/api/v1/nodes")] == ["NotReady", "NotReady"]


def test_one_that_has_left_the_swarm_is_gone(api: InProcess, nodes: Nodes) -> None:
    _rows(api, "/api/v1/nodes")
    nodes.found[1] = node("node3")
    assert [row["Name"] for row in _rows(api, "/api/v1/nodes")] == ["node1", "node3"]
