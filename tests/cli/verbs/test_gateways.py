"""`routes`, `certificate` and `describe gateway`, without an engine."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from reconciler.api import VaultService
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import GatewayNode, VaultGateway
from reconciler.app.certificates import store_of
from reconciler.certificates.wanted import Source
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.certificates.authority import bundle

Vaultctl = Callable[..., Result]


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


@pytest.fixture
def routed(objects: ObjectStore, origin: Origin) -> ObjectStore:
    acme = {"acceptTerms": True, "contact": ["admin@example.org"]}
    document = {"metadata": {"name": "main"}, "spec": {"acme": acme}}
    objects.of(VAULT_GATEWAY).apply(
        VaultGateway.model_validate(document, by_alias=True, by_name=False), origin
    )
    for name in ("files", "wiki"):
        spec = {"plugin": "whoami", "route": {"hostnames": [f"{name}.example.org", "same.example.org"]}}
        objects.apply(VaultService.model_validate({"metadata": {"name": name}, "spec": spec}), origin)
    store_of(objects, "main").save(Source.ACME, "files", bundle("files.example.org"))
    return objects


def test_nothing_yet(vaultctl: Vaultctl) -> None:
    for words, said in (
        (["routes"], "no service has a route"),
        (["certificate", "list"], "no host of a gateway"),
    ):
        done = vaultctl(*words)
        assert (done.exit_code, done.stdout) == (0, "")
        assert said in done.stderr
        assert json.loads(vaultctl(*words, "-o", "json").stdout) == []


def test_routes(vaultctl: Vaultctl, routed: ObjectStore) -> None:
    table = vaultctl("routes").stdout.splitlines()
    assert table[0].split() == ["HOST", "PATH", "SERVICE", "CERTIFICATE", "STATE", "MESSAGE"]
    assert [line.split()[:3] for line in table[1:]] == [
        ["files.example.org", "/", "files"],
        ["same.example.org", "/", "files"],
        ["same.example.org", "/", "wiki"],
        ["wiki.example.org", "/", "wiki"],
    ]
    assert "Conflicted" in table[3]
    assert "belongs to files, which is older" in table[3]
    assert "GATEWAY" in vaultctl("routes", "-o", "wide").stdout
    documents = json.loads(vaultctl("routes", "wiki", "-o", "json").stdout)
    assert [(each["host"], each["state"]) for each in documents] == [
        ("same.example.org", "Conflicted"),
        ("wiki.example.org", "GatewayNotReady"),
    ]
    assert "there is no VaultService 'wik'; did you mean 'wiki'?" in vaultctl("routes", "wik").stderr


def test_routes_that_the_operator_does_not_permit(vaultctl: Vaultctl, routed: ObjectStore) -> None:
    documents = json.loads(vaultctl("--allow-hostnames", "files.example.org", "routes", "-o", "json").stdout)
    assert {each["host"]: each["state"] for each in documents} == {
        "files.example.org": "GatewayNotReady",
        "same.example.org": "HostnameNotPermitted",
        "wiki.example.org": "HostnameNotPermitted",
    }


def test_certificates(vaultctl: Vaultctl, routed: ObjectStore) -> None:
    listed = json.loads(vaultctl("certificate", "list", "-o", "json").stdout)
    assert [each["host"] for each in listed] == ["files.example.org", "same.example.org", "wiki.example.org"]
    assert "ISSUER" in vaultctl("certificate", "list", "-o", "wide").stdout
    for words in (["certificate", "list"], ["describe", "gateway", "main"], ["routes", "-o", "yaml"]):
        assert "PRIVATE" not in vaultctl(*words).output


def test_renewal(vaultctl: Vaultctl, routed: ObjectStore) -> None:
    done = vaultctl("certificate", "renew", "files.example.org")
    assert (done.exit_code, done.stdout) == (0, "files.example.org: a new certificate is asked for\n")
    assert "no controller is running" in done.stderr
    assert store_of(routed, "main").take_requests() == ("files.example.org",)
    assert vaultctl("certificate", "renew", "--all").stdout.count("is asked for") == 3
    for words in ([], ["files.example.org", "--all"]):
        assert vaultctl("certificate", "renew", *words).exit_code == 2
    assert vaultctl("certificate", "renew", "file.example.org").exit_code == 1


def test_get_and_describe_a_gateway(vaultctl: Vaultctl, routed: ObjectStore) -> None:
    assert "main" in vaultctl("get", "gateways").stdout
    page = vaultctl("describe", "gateway", "main").stdout
    for part in ("Routes:", "Certificates:", "Containers:", "cannot be seen", "files.example.org"):
        assert part in page


def test_describe_tells_of_each_node_of_a_gateway(vaultctl: Vaultctl, routed: ObjectStore) -> None:
    objects = routed.of(VAULT_GATEWAY)
    nodes = (GatewayNode(name="node1", answering=1), GatewayNode(name="node2", message="its agent is silent"))
    objects.put_status("main", objects.status("main").model_copy(update={"nodes": nodes}))
    page = vaultctl("describe", "gateway", "main").stdout
    assert "Nodes:" in page
    assert "Containers:" not in page
    lines = {line.split()[0]: line for line in page.splitlines() if "node" in line}
    assert lines["node1"].split()[1] == "1"
    assert "its agent is silent" in lines["node2"]
