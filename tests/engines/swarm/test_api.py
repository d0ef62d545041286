"""Requests about Swarm's objects, to what answers as an engine does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.errors import EngineError, RefusedError
from reconciler.engines.swarm import removing
from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.homes import Homes
from reconciler.engines.swarm.images import exact, find_image
from reconciler.engines.swarm.removing import remove_unused_files
from tests.engines.compose.fake_engine import VERSION, FakeEngine, at_socket

OUT_OF_SEQUENCE = (500, b'{"message": "rpc error: code = Unknown desc = update out of sequence"}')


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    with closing(at_socket(tmp_path / "engine.sock")) as engine:
        yield engine


@pytest.fixture
def api(fake: FakeEngine) -> Iterator[SwarmApi]:
    with closing(DockerApi(f"unix://{fake.address}")) as docker:
        yield SwarmApi(docker)


def _answer(fake: FakeEngine, path: str, document: object) -> None:
    fake.answers[f"/v{VERSION}{path}"] = (200, json.dumps(document).encode())


def _rename(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**spec, "Name": "new"}


def test_a_change_that_another_came_before_is_tried_again(fake: FakeEngine, api: SwarmApi) -> None:
    _answer(fake, "/services/s1", {"ID": "s1", "Version": {"Index": 7}, "Spec": {"Name": "old"}})
    answers = iter([OUT_OF_SEQUENCE, (200, b"{}")])
    fake.answer_sent = lambda method, target: next(answers)
    api.change_service("s1", _rename)
    assert [(target, json.loads(body)) for _, target, body in fake.sent] == 2 * [
        (f"/v{VERSION}/services/s1/update?version=7", {"Name": "new"})
    ]


def test_a_change_that_changes_nothing_is_not_sent(fake: FakeEngine, api: SwarmApi) -> None:
    _answer(fake, "/services/s1", {"ID": "s1", "Version": {"Index": 7}, "Spec": {"Name": "new"}})
    assert api.change_service("s1", _rename) is not None
    assert fake.sent == []
    assert api.change_service("gone", _rename) is None


def test_others_that_never_stop_are_an_error(fake: FakeEngine, api: SwarmApi) -> None:
    _answer(fake, "/services/s1", {"ID": "s1", "Version": {"Index": 7}, "Spec": {"Name": "old"}})
    fake.answer_sent = lambda method, target: OUT_OF_SEQUENCE
    with pytest.raises(EngineError, match="update service s1: others change it"):
        api.change_service("s1", _rename)


def test_an_invalid_definition_is_refused_for_good(fake: FakeEngine, api: SwarmApi) -> None:
    fake.answer_sent = lambda method, target: (400, b'{"message": "invalid mount target"}')
    with pytest.raises(RefusedError, match=r"could not create service x: invalid mount target"):
        api.create_service({"Name": "x"})
    fake.answer_sent = lambda method, target: (500, b'{"message": "no leader"}')
    with pytest.raises(EngineError, match="no leader"):
        api.create_service({"Name": "x"})


def test_an_engine_that_is_no_manager_says_so(fake: FakeEngine, api: SwarmApi) -> None:
    _answer(fake, "/info", {"Swarm": {"LocalNodeState": "active", "NodeID": "n2", "ControlAvailable": False}})
    with pytest.raises(RefusedError, match=r"no manager of a Swarm \(it is active\)"):
        api.own_node()
    _answer(fake, "/info", {"Swarm": {"LocalNodeState": "active", "NodeID": "n1", "ControlAvailable": True}})
    assert api.own_node() == "n1"


def test_a_network_is_found_by_its_whole_name(fake: FakeEngine, api: SwarmApi) -> None:
    _answer(fake, "/networks", [{"Name": "shop-net"}, {"Name": "shop"}])
    assert api.network("shop") == {"Name": "shop"}
    assert api.network("sho") is None
    fake.answer_sent = lambda method, target: (409, b'{"message": "network with name shop already exists"}')
    api.create_network({"Name": "shop"})
    fake.answer_sent = lambda method, target: (403, b'{"message": "no"}')
    with pytest.raises(EngineError):
        api.create_network({"Name": "shop"})


def test_the_node_of_a_volume_is_recorded_once(fake: FakeEngine, api: SwarmApi) -> None:
    marks = {"internal.vault.volume": "shop_data", "internal.vault.node": "n2"}
    _answer(fake, "/configs", [{"ID": "c1", "Spec": {"Name": "vault-volume-1", "Labels": marks}}])
    fake.answer_sent = lambda method, target: (201, b'{"ID": "c2"}')
    homes = Homes(api, "shop")
    assert homes.of(["shop_data", "shop_other"]) == {"shop_data": "n2"}
    homes.record(["shop_data", "shop_other"], "n2")
    homes.record(["shop_other"], "n2")
    ((_, _, body),) = fake.sent
    assert json.loads(body)["Labels"] == {
        "com.docker.stack.namespace": "shop",
        "internal.vault.volume": "shop_other",
        "internal.vault.node": "n2",
    }


def test_another_record_that_came_first_wins(fake: FakeEngine, api: SwarmApi) -> None:
    _answer(fake, "/configs", [])
    homes = Homes(api, "shop")
    marks = {"internal.vault.volume": "shop_data", "internal.vault.node": "n2"}
    _answer(fake, "/configs", [{"ID": "c1", "Spec": {"Name": "vault-volume-1", "Labels": marks}}])
    fake.answer_sent = lambda method, target: (409, b'{"message": "already exists"}')
    with pytest.raises(EngineError, match="already exists"):
        homes.record(["shop_data"], "n1")
    assert homes.of(["shop_data"]) == {"shop_data": "n2"}


def test_files_are_removed_when_no_service_uses_them(fake: FakeEngine, api: SwarmApi) -> None:
    container = {"Secrets": [{"SecretID": "s1"}], "Configs": None}
    _answer(fake, "/services", [{"Spec": {"TaskTemplate": {"ContainerSpec": container}}}])
    _answer(fake, "/secrets", [{"ID": each, "Spec": {"Name": each}} for each in ("s1", "s2")])
    marks = {"internal.vault.volume": "shop_data"}
    _answer(
        fake,
        "/configs",
        [{"ID": "c1", "Spec": {"Name": "c1", "Labels": marks}}, {"ID": "c2", "Spec": {"Name": "c2"}}],
    )
    # Another controller has just begun to use it.
    fake.answer_sent = lambda method, target: (
        400,
        b'{"message": "config c2 is in use by the following service"}',
    )
    remove_unused_files(api, "shop")
    assert [target for _, target, _ in fake.sent] == [f"/v{VERSION}/secrets/s2", f"/v{VERSION}/configs/c2"]


DIGESTS = ["registry:5000/shop@sha256:a", "shop@sha256:b"]


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("shop:1", "shop@sha256:b"),
        ("shop", "shop@sha256:b"),
        ("registry:5000/shop:1", "registry:5000/shop@sha256:a"),
        ("registry:5000/shop:1@sha256:x", "registry:5000/shop@sha256:a"),
        ("other/shop:1", ""),
        ("sha256:1", "registry:5000/shop@sha256:a"),
    ],
)
def test_an_image_is_named_by_its_digest_in_its_own_repository(name: str, reference: str) -> None:
    assert exact(name, DIGESTS) == reference


def test_an_image_of_no_registry_is_named_by_its_id(fake: FakeEngine, api: SwarmApi) -> None:
    config = {"Volumes": {"/b": {}, "/a": {}}, "Healthcheck": {"Test": ["CMD", "true"]}}
    _answer(fake, "/images/shop:1/json", {"Id": "sha256:1", "Config": config})
    _answer(fake, "/images/plain/json", {"Id": "sha256:2", "Config": {"Healthcheck": {"Test": ["NONE"]}}})
    found = find_image(api.docker, "shop:1")
    assert found is not None
    assert (found.id, found.reference, found.volumes) == ("sha256:1", "sha256:1", ("/a", "/b"))
    assert found.is_checked
    plain = find_image(api.docker, "plain")
    assert plain is not None
    assert not plain.is_checked
    assert find_image(api.docker, "none") is None


def test_a_network_that_another_node_uses_stays_and_another_failure_is_one(
    fake: FakeEngine, api: SwarmApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(removing, "RELEASE_SECONDS", 0.0)
    _answer(fake, "/services", [])
    _answer(fake, "/networks", [{"Id": "n1", "Name": "vault-shop_net"}])
    for path in ("/secrets", "/configs", "/nodes"):
        _answer(fake, path, [])

    def refuse(text: str) -> Callable[[str], None]:
        def remove(identifier: str) -> None:
            raise EngineError(f"network {identifier} {text}")

        return remove

    removing.remove_project(api, "vault-shop", refuse("is in use by task t1"), "own", volumes=False)
    assert "network vault-shop_net stays" in caplog.text
    with pytest.raises(EngineError, match="no leader"):
        removing.remove_project(api, "vault-shop", refuse("has no leader"), "own", volumes=False)
