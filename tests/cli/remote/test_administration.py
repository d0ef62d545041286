"""Verbs about certificates, images, the machine, tokens and users over the API: by role, without a secret left behind."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.app.certificates import store_of
from reconciler.app.views import Views
from reconciler.certificates.wanted import Source
from reconciler.cli.remote.logins import RemoteTokens, RemoteUsers
from reconciler.cli.remote.views import RemoteViews
from reconciler.controller.report.board import Exporter
from reconciler.store.tokens import Tokens
from reconciler.store.users import Users
from tests.certificates.authority import bundle
from tests.cli.remote.test_over_the_api import Remote
from tests.web.kube.cluster import served

MANIFESTS = """
apiVersion: vault.internal/v1alpha1
kind: VaultGateway
metadata: {name: main}
spec: {acme: {acceptTerms: true, contact: [admin@example.org]}}
---
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files}
spec: {plugin: whoami, route: {hostnames: [files.example.org]}, images: {whoami: registry.test/app:1.4.2}}
---
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: wiki}
spec: {plugin: whoami, route: {hostnames: ["*.wiki.example.org"], tls: {certificate: self-signed}}}
"""
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    home = tmp_path_factory.mktemp("administration")
    with served(home / "state", home) as cluster:
        cluster.apply(MANIFESTS)
        store_of(cluster.application.objects, "main").save(Source.ACME, "files", bundle("files.example.org"))
        cluster.until(lambda: "wiki" in cluster.kubectl("get", "vs").stdout)
        yield Remote(cluster)


def here(remote: Remote) -> Views:
    """What verbs see on the state directory of the controller."""
    return Views(remote.cluster.application, lambda: datetime.now(UTC), lambda text: None)


def without_ages(listed: str) -> list[list[str]]:
    """The rows of a list of tokens; an age is another one a second later."""
    rows = [line.split() for line in listed.splitlines()]
    age = rows[0].index("AGE")
    return [row[:age] + row[age + 1 :] for row in rows]


def written(remote: Remote) -> str:
    """All that the controller has written."""
    paths = [path for path in remote.cluster.state.rglob("*") if path.is_file()]
    return "".join(path.read_bytes().decode("latin-1") for path in paths)


@pytest.mark.parametrize(
    ("own", "other"), [(Views, RemoteViews), (Tokens, RemoteTokens), (Users, RemoteUsers)]
)
def test_both_implementations_have_the_same_methods(own: type, other: type) -> None:
    methods = {name: made for name, made in inspect.getmembers(other, inspect.isfunction) if name[0] != "_"}
    assert methods
    for name, made in methods.items():
        ours = inspect.signature(getattr(own, name))
        theirs = inspect.signature(made)
        assert ours.return_annotation == theirs.return_annotation, name
        # The machine itself may be asked more than the API.
        shared = list(ours.parameters.values())[: len(theirs.parameters)]
        assert [str(each) for each in shared] == [str(each) for each in theirs.parameters.values()], name


@pytest.mark.parametrize(
    "line", ["certificate list", "certificate list -o wide", "certificate list -o json", "routes"]
)
def test_certificates_are_listed_as_on_the_machine(remote: Remote, line: str) -> None:
    assert remote.right(*line.split(), role="view") == remote.cluster.vaultctl(*line.split())


def test_a_gateway_is_described_with_routes_and_certificates(remote: Remote) -> None:
    described = remote.right("describe", "gateway", "main", role="view")
    assert "Routes:" in described
    assert "files.example.org" in described.partition("Certificates:")[2]


def test_a_certificate_is_renewed_by_a_role_that_writes(remote: Remote) -> None:
    store = store_of(remote.cluster.application.objects, "main")
    refused = remote("certificate", "renew", "files.example.org", role="view")
    assert 'cannot create resource "certificates/renewal"' in refused.stderr
    wrong = remote("certificate", "renew", "files.example.org", "*.wiki.example.org")
    assert "is self-signed and renewed by the controller" in wrong.stderr
    assert store.take_requests() == ()
    assert "a new certificate is asked for" in remote.right("certificate", "renew", "files.example.org")
    assert store.take_requests() == ("files.example.org",)
    events = remote.cluster.application.history.of(VAULT_GATEWAY).events("main")
    assert "create of certificates.vault.internal/renewal main." in events[-1].message
    assert "did you mean 'files.example.org'" in remote("certificate", "renew", "file.example.org").stderr


def test_a_renewal_is_waited_for(remote: Remote) -> None:
    done = remote("certificate", "renew", "--all", "--wait", "--timeout", "1s")
    assert "no new certificate for files.example.org after 1 s" in done.stderr


def test_images_are_what_the_controller_sees_of_them(remote: Remote) -> None:
    documents = json.loads(remote.right("images", "-o", "json", role="view"))
    assert documents == here(remote).images()
    (files,) = json.loads(remote.right("images", "files", "-o", "json", role="view"))
    assert (files["state"], files["newest"]) == ("Behind", "1.5.0")
    assert "Behind" in remote.right("images", role="view")
    assert "there is no VaultService 'nothing'" in remote("images", "nothing", role="view").stderr


def test_what_doctor_says_is_for_admins(remote: Remote) -> None:
    for role in ("view", "edit"):
        refused = remote("doctor", role=role)
        assert 'cannot list resource "findings"' in refused.stderr
    done = remote("doctor", "-o", "json", role="admin")
    told = [(each["check"], each["level"]) for each in json.loads(done.stdout)]
    assert told == [(each.check, each.level) for each in here(remote).findings()]
    assert done.exit_code == int("fail" in dict(told).values() or any(level == "fail" for _, level in told))


def test_the_addresses_of_proxies(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    found = (Exporter("files", 0, "10.1.2.3:8404"), Exporter("vaultgateway/main", 2, "", "node2"))
    monkeypatch.setattr(remote.cluster.application.board, "exporters", lambda: found)
    told = json.loads(remote.right("prometheus", "targets", "--controller", "vault:9180", role="view"))
    assert told == [
        {
            "targets": ["vault:9180"],
            "labels": {
                "name": "vaultgateway/main",
                "slot": "2",
                "node": "node2",
                "__metrics_path__": "/proxies/main/2",
            },
        },
        {"targets": ["10.1.2.3:8404"], "labels": {"name": "files", "slot": "0"}},
    ]
    assert "scrape_configs" in remote.right("prometheus", "config")


def test_a_token_is_created_listed_and_revoked_by_an_admin(remote: Remote) -> None:
    for words in (("create", "mallory", "--role", "admin"), ("list",), ("revoke", "12345678")):
        for role in ("view", "edit"):
            refused = remote("token", *words, role=role)
            assert refused.exit_code == 1
            assert f"the role of the token is {role}" in refused.stderr
    text = remote.right("token", "create", "anna", "--role", "edit", "--expires", "90d", role="admin").strip()
    tokens = Tokens(remote.cluster.state, lambda: datetime.now(UTC))
    token = tokens.find(text)
    assert token is not None
    assert (token.user, token.role) == ("anna", "edit")
    listed = remote.right("token", "list", role="admin")
    assert without_ages(listed) == without_ages(remote.cluster.vaultctl("token", "list"))
    for told in (
        listed,
        remote.cluster.kubectl("get", "tokens", "-o", "yaml").stdout,
        remote.cluster.kubectl("get", "events", "-o", "yaml").stdout,
        written(remote),
    ):
        assert "anna" in told or "events" in told or "kind: List" in told
        # The secret is base64, which may have a "_" as well.
        assert text.partition(f"{token.id}_")[2] not in told
    assert remote.right("token", "revoke", token.id, role="admin") == f"token {token.id} of anna revoked\n"
    assert tokens.find(text) is None
    assert "there is no token" in remote("token", "revoke", token.id, role="admin").stderr
    assert "cannot be a user" in remote("token", "create", "a b", role="admin").stderr
    audit = (remote.cluster.state / "audit.jsonl").read_text().splitlines()
    done = [json.loads(line) for line in audit if '"tokens.' in line and '"done"' in line]
    assert {(each["verb"], each["name"], each["code"]) for each in done} >= {
        ("create", token.id, 201),
        ("delete", token.id, 200),
    }


def test_a_kubeconfig_is_made_elsewhere(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    text = remote.right("kubeconfig", "--user", "dora", "--role", "view", role="admin")
    own = yaml.safe_load(remote.cluster.kubeconfig("admin").read_text())
    assert yaml.safe_load(text)["clusters"] == own["clusters"]
    path = remote.cluster.home / "dora"
    path.write_text(text)
    assert remote.cluster.kubectl("auth", "whoami", "--kubeconfig", str(path)).stdout.count("dora") == 1
    refused = remote("kubeconfig", "--client-certificate", role="admin")
    assert "only made on the machine of the controller" in refused.stderr


def test_a_password_is_set_by_an_admin_and_kept_nowhere(remote: Remote) -> None:
    def set_password(role: str, *words: str, password: str = PASSWORD) -> Any:
        return remote("user", "set-password", "anna", "--stdin", *words, role=role, input=f"{password}\n")

    for role in ("view", "edit"):
        assert "cannot create resource" in set_password(role).stderr
        assert "cannot list resource" in remote("user", "list", role=role).stderr
        assert "cannot delete resource" in remote("user", "delete", "anna", role=role).stderr
    users = Users(remote.cluster.state, lambda: datetime.now(UTC))
    assert users.list() == ()
    assert set_password("admin", "--role", "view").stdout == "anna may log in, with the role view\n"
    assert users.verify("anna", PASSWORD)
    short = set_password("admin", password="short-one")
    assert "12 to 256 characters" in short.stderr
    assert "short-one" not in short.output
    assert remote.right("user", "list", role="admin") == remote.cluster.vaultctl("user", "list")
    for told in (written(remote), remote.cluster.kubectl("get", "users", "-o", "yaml").stdout):
        assert PASSWORD not in told
        assert "short-one" not in told
    assert remote.right("user", "delete", "anna", role="admin") == "user anna deleted\n"
    assert "there is no user 'anna'" in remote("user", "delete", "anna", role="admin").stderr
