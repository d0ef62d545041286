"""Objects as configs of a Swarm, and the controller as a service, to what answers as an engine does."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.engines.compose.api import DockerApi
from reconciler.engines.errors import EngineError, RefusedError
from reconciler.engines.swarm.controller import KEY, STATE_KEY, ControllerService, Wish
from reconciler.engines.swarm.kept import LONGEST, OBJECT, STATE_MARK, Sort, SwarmKept
from reconciler.engines.swarm.marks import TERM
from tests.engines.compose.fake_engine import VERSION, FakeEngine, at_socket

EXISTS = (409, b'{"message": "rpc error: code = AlreadyExists"}')


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    with closing(at_socket(tmp_path / "engine.sock")) as engine:
        engine.answer_sent = lambda method, target: (201, b'{"ID": "new"}')
        yield engine


@pytest.fixture
def docker(fake: FakeEngine) -> Iterator[DockerApi]:
    with closing(DockerApi(f"unix://{fake.address}")) as docker:
        yield docker


def answer(fake: FakeEngine, path: str, document: object) -> None:
    fake.answers[f"/v{VERSION}{path}"] = (200, json.dumps(document).encode())


def row(number: int, label: str, content: bytes, name: str = "") -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(content)).decode()
    spec = {"Name": name or f"c{number}", "Labels": {OBJECT: label}, "Data": data}
    return {"ID": f"id{number}", "Version": {"Index": number}, "Spec": spec}


def test_the_newest_version_of_an_object_counts(fake: FakeEngine, docker: DockerApi) -> None:
    answer(fake, "/configs", [row(9, "shop", b"new"), row(7, "shop", b"old"), row(8, "wiki", b"wiki")])
    kept = SwarmKept(docker)
    assert kept.read() == {"shop": b"new", "wiki": b"wiki"}
    assert kept.labels() == {"shop", "wiki"}


def test_a_newer_version_takes_the_place_of_the_former_one(fake: FakeEngine, docker: DockerApi) -> None:
    answer(fake, "/configs", [row(7, "shop", b"old")])
    SwarmKept(docker).keep("shop", b"new")
    assert [(method, target) for method, target, _ in fake.sent] == [
        ("POST", f"/v{VERSION}/configs/create"),
        ("DELETE", f"/v{VERSION}/configs/id7"),
    ]
    spec = json.loads(fake.sent[0][2])
    assert zlib.decompress(base64.b64decode(spec["Data"])) == b"new"
    assert spec["Labels"] == {OBJECT: "shop", TERM: "0"}
    assert len(spec["Name"]) <= 64
    answer(fake, "/configs", [row(7, "shop", b"old"), row(8, "shop", b"new", spec["Name"])])
    fake.answer_sent = lambda method, target: EXISTS if method == "POST" else (204, b"")
    SwarmKept(docker).keep("shop", b"new")
    assert fake.sent[-1][:2] == ("DELETE", f"/v{VERSION}/configs/id7")


def test_what_is_too_long_is_refused_and_nothing_is_removed(fake: FakeEngine, docker: DockerApi) -> None:
    answer(fake, "/configs", [row(7, "shop", b"old")])
    with pytest.raises(RefusedError, match="500000"):
        SwarmKept(docker).keep("shop", os.urandom(LONGEST + 1))
    assert fake.sent == []


@pytest.mark.parametrize("data", ["", "%", base64.b64encode(b"no zlib").decode(), None])
def test_a_config_that_is_no_object_is_an_error(fake: FakeEngine, docker: DockerApi, data: object) -> None:
    broken = row(7, "shop", b"old")
    broken["Spec"]["Data"] = data
    answer(fake, "/configs", [broken])
    with pytest.raises(EngineError, match="config c7 was not understood"):
        SwarmKept(docker).read()


def test_the_controller_is_created_with_its_key_and_without_more_rights_than_it_needs(
    fake: FakeEngine, docker: DockerApi
) -> None:
    answer(fake, "/info", {"Name": "node1", "Swarm": {"ControlAvailable": True, "NodeID": "n1"}})
    answer(fake, "/secrets", [{"ID": "s1", "Spec": {"Name": "token"}}])
    service = ControllerService(docker, lambda: "identity")
    with pytest.raises(RefusedError, match="docker secret create other"):
        service.install(Wish("controller:1", Path("/state"), secrets=("other",)))
    assert fake.sent == []
    service.install(
        Wish("controller:1", Path("/state"), ("--git", "url"), ("token",), {"VAULT_AGE_KEYS": "/x"})
    )
    (_, made, key), (_, _, identity), (_, created, body) = fake.sent
    assert base64.b64decode(json.loads(identity)["Data"]) == b"identity"
    assert (made, created) == (f"/v{VERSION}/secrets/create", f"/v{VERSION}/services/create")
    assert len(bytes.fromhex(base64.b64decode(json.loads(key)["Data"]).decode())) == 32
    spec = json.loads(body)
    container = spec["TaskTemplate"]["ContainerSpec"]
    assert container["Args"] == ["run", "--engine", "swarm", "--git", "url"]
    assert container["CapabilityDrop"] == ["ALL"]
    assert container["ReadOnly"] is True
    assert {"VAULT_AGE_KEYS=/x", "VAULT_STATE_DIR=/state"} <= set(container["Env"])
    assert [each["SecretID"] for each in container["Secrets"]] == ["new", "new", "s1"]
    assert spec["TaskTemplate"]["Placement"] == {"Constraints": ["node.role==manager"]}
    assert spec["Mode"] == {"Replicated": {"Replicas": 1}}
    answer(fake, "/services/vault-controller", {"ID": "c", "Version": {"Index": 3}, "Spec": spec})
    with pytest.raises(RefusedError, match="exists already"):
        service.install(Wish("controller:1", Path("/state")))
    service.upgrade("controller:2")
    changed = json.loads(fake.sent[-1][2])
    assert changed["TaskTemplate"]["ContainerSpec"].pop("Image") == "controller:2"
    container.pop("Image")
    assert changed == spec, "nothing else is changed"


def test_without_the_service_there_is_nothing_to_upgrade(fake: FakeEngine, docker: DockerApi) -> None:
    service = ControllerService(docker, lambda: "identity")
    assert service.task() is None
    assert not service.uninstall()
    with pytest.raises(RefusedError, match="swarm install"):
        service.upgrade("controller:2")


def test_of_two_versions_the_one_of_the_later_term_counts(fake: FakeEngine, docker: DockerApi) -> None:
    """A controller that was stopped while it wrote, and goes on, replaces nothing."""
    late, acting = row(9, "shop", b"late"), row(8, "shop", b"acting")
    late["Spec"]["Labels"][TERM], acting["Spec"]["Labels"][TERM] = "3", "4"
    odd = row(10, "shop", b"odd")
    odd["Spec"]["Labels"][TERM] = "x"
    answer(fake, "/configs", [late, acting, odd])
    assert SwarmKept(docker).read() == {"shop": b"acting"}
    SwarmKept(docker, term=lambda: 5).keep("shop", b"new")
    spec = json.loads(fake.sent[0][2])
    assert spec["Labels"][TERM] == "5"


def test_what_is_encrypted_is_told_apart_from_objects(fake: FakeEngine, docker: DockerApi) -> None:
    sort = Sort(STATE_MARK, "vault-state", lambda content: content[::-1], lambda packed: packed[::-1] or None)
    kept = SwarmKept(docker, sort)
    answer(fake, "/configs", [])
    kept.keep("logins", b"secret")
    spec = json.loads(fake.sent[0][2])
    assert spec["Labels"] == {STATE_MARK: "logins", TERM: "0"}
    assert base64.b64decode(spec["Data"]) == b"terces"
    digest = sha256(b"secret").hexdigest()[:16]
    assert digest not in spec["Name"], "a name that confirms a guess would tell the content"
    answer(fake, "/configs", [{"ID": "1", "Version": {"Index": 1}, "Spec": {**spec, "Data": ""}}])
    assert kept.read() == {"logins": None}


def test_an_older_installation_gets_the_key_of_its_state_with_an_upgrade(
    fake: FakeEngine, docker: DockerApi
) -> None:
    answer(fake, "/info", {"Name": "node1", "Swarm": {"ControlAvailable": True, "NodeID": "n1"}})
    answer(fake, "/secrets", [])
    service = ControllerService(docker, lambda: "identity")
    service.install(Wish("controller:1", Path("/state")))
    spec = json.loads(fake.sent[-1][2])
    container = spec["TaskTemplate"]["ContainerSpec"]
    whole = json.loads(json.dumps(container))
    container["Secrets"] = [each for each in container["Secrets"] if each["SecretName"] == KEY]
    container["Env"] = [each for each in container["Env"] if not each.startswith("VAULT_STATE_KEY=")]
    answer(fake, "/services/vault-controller", {"ID": "c", "Version": {"Index": 3}, "Spec": spec})
    answer(fake, "/secrets", [{"ID": "k", "Spec": {"Name": KEY}}])
    service.upgrade("controller:2")
    (_, made, secret), (_, updated, body) = fake.sent[-2:]
    assert made == f"/v{VERSION}/secrets/create"
    assert json.loads(secret)["Name"] == STATE_KEY
    assert "/services/vault-controller/update" in updated
    now = json.loads(body)["TaskTemplate"]["ContainerSpec"]
    assert [each["SecretName"] for each in now["Secrets"]] == [KEY, STATE_KEY]
    assert now["Secrets"][-1]["File"] == {"Name": STATE_KEY, "UID": "0", "GID": "0", "Mode": 0o400}
    assert sorted(now["Env"]) == sorted(whole["Env"])


def test_what_was_encrypted_goes_with_its_key(fake: FakeEngine, docker: DockerApi) -> None:
    answer(fake, "/secrets", [{"ID": "k", "Spec": {"Name": KEY}}, {"ID": "s", "Spec": {"Name": STATE_KEY}}])
    answer(fake, "/configs", [{"ID": "c1"}, {"ID": "c2"}])
    service = ControllerService(docker, lambda: "identity")
    assert service.forget_state()
    targets = [target.removeprefix(f"/v{VERSION}") for _, target, _ in fake.sent]
    assert targets == ["/secrets/s", "/configs/c1", "/configs/c2"]
    answer(fake, "/secrets", [{"ID": "k", "Spec": {"Name": KEY}}])
    answer(fake, "/configs", [])
    assert not service.forget_state()
