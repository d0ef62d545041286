"""Tokens and users as resources: only admins, no secret but in the answer to a creation, and mistakes that repeat none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.store.users import Users
from reconciler.web.kube.access import ADMINISTRATION
from tests.web.kube.in_process import Answer, InProcess

BASE = "/apis/vault.internal/v1alpha1"
TOKENS, USERS = f"{BASE}/tokens", f"{BASE}/users"
PASSWORD = "correct horse battery"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[InProcess]:
    with InProcess(tmp_path) as made:
        yield made


def ask(
    api: InProcess, method: str, path: str, body: Any = None, role: str | None = "admin", query: bytes = b""
) -> Answer:
    headers = [(b"content-type", b"application/json"), *api.login(role)]
    content = b"" if body is None else json.dumps(body).encode()
    return api.call(method, path, query, headers, content)


def create(api: InProcess, spec: Any, query: bytes = b"", **more: Any) -> Answer:
    return ask(api, "POST", TOKENS, {"spec": spec, **more}, query=query)


@pytest.mark.parametrize("role", ["view", "edit", "none", None])
@pytest.mark.parametrize("plural", sorted(ADMINISTRATION))
def test_no_other_role_gets_anything(api: InProcess, role: str | None, plural: str) -> None:
    name = api.parts.api.clients.tokens.list()[0].id
    before = (api.state / "tokens.json").read_bytes()
    for path in (f"{BASE}/{plural}", f"{BASE}/{plural}/{name}"):
        for query in (b"", b"watch=true", b"limit=1"):
            assert ask(api, "GET", path, role=role, query=query).code in (401, 403)
    for method, path, body in (
        ("POST", TOKENS, {"spec": {"user": "mallory", "role": "admin"}}),
        ("DELETE", f"{TOKENS}/{name}", None),
        ("POST", f"{USERS}/mallory/password", {"spec": {"password": PASSWORD}}),
        ("DELETE", f"{USERS}/mallory", None),
    ):
        for query in (b"", b"dryRun=All"):
            assert ask(api, method, path, body, role, query).code in (401, 403)
    assert (api.state / "tokens.json").read_bytes() == before
    assert not (api.state / "users.json").exists()


@pytest.mark.parametrize("role", ["view", "edit"])
def test_a_client_that_asks_about_itself_is_told_so(api: InProcess, role: str) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    for plural in (*ADMINISTRATION, "*"):
        asked = {"spec": {"resourceAttributes": {"verb": "list", "resource": plural}}}
        assert json.loads(ask(api, "POST", path, asked, role).content)["status"]["allowed"] is False
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    rules = json.loads(ask(api, "POST", path, {"spec": {}}, role).content)["status"]["resourceRules"]
    assert not {each for rule in rules for each in rule["resources"]} & ADMINISTRATION


def test_the_text_of_a_token_is_in_one_answer(api: InProcess) -> None:
    answer = create(api, {"user": "anna", "expirationSeconds": 3600})
    document = json.loads(answer.content)
    assert answer.code == 201
    assert answer.headers["cache-control"] == "no-store"
    text = document["status"]["token"]
    token = api.parts.api.clients.tokens.find(text)
    assert token is not None
    assert (token.id, token.user, token.role) == (document["metadata"]["name"], "anna", "view")
    life = datetime.fromisoformat(str(token.expires)) - datetime.fromisoformat(token.created)
    assert 3590 < life.total_seconds() < 3610
    for path in (TOKENS, f"{TOKENS}/{token.id}"):
        listed = ask(api, "GET", path)
        assert token.id in listed.content.decode()
        assert text.rpartition("_")[2] not in listed.content.decode()


def test_a_dry_run_creates_deletes_and_sets_nothing(api: InProcess) -> None:
    before = (api.state / "tokens.json").read_bytes()
    name = api.parts.api.clients.tokens.list()[0].id
    document = json.loads(create(api, {"user": "anna"}, b"dryRun=All").content)
    assert "token" not in document["status"]
    assert ask(api, "DELETE", f"{TOKENS}/{name}", query=b"dryRun=All").code == 200
    assert ask(api, "DELETE", f"{TOKENS}/{name}", {"dryRun": ["All"]}).code == 200
    assert ask(api, "DELETE", f"{TOKENS}/nothing", query=b"dryRun=All").code == 404
    path = f"{USERS}/anna/password"
    assert ask(api, "POST", path, {"spec": {"password": PASSWORD}}, query=b"dryRun=All").code == 201
    assert (api.state / "tokens.json").read_bytes() == before
    assert not (api.state / "users.json").exists()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.user"),
        ({"user": "a b"}, "spec.user"),
        ({"user": "anna", "role": "root"}, "spec.role"),
        ({"user": "anna", "expirationSeconds": 0}, "spec.expirationSeconds"),
        ({"user": "anna", "expirationSeconds": 10**15}, "spec.expirationSeconds"),
        ({"user": "anna", "expirationSeconds": True}, "spec.expirationSeconds"),
        ({"user": "anna", "more": 1}, "spec.more"),
        (["anna"], "spec"),
        (None, "spec"),
    ],
)
def test_mistakes_are_named_by_their_field(api: InProcess, spec: Any, field: str) -> None:
    answer = create(api, spec)
    assert answer.code == 422
    (cause,) = json.loads(answer.content)["details"]["causes"]
    assert cause["field"] == field


def test_the_server_chooses_the_name(api: InProcess) -> None:
    assert create(api, {"user": "anna"}, metadata={"name": "mine"}).code == 422
    assert create(api, {"user": "anna"}, metadata={"generateName": "mine-"}).code == 201


def test_a_password_is_set_and_repeated_nowhere(api: InProcess) -> None:
    path = f"{USERS}/anna/password"
    wrong = [
        {"password": "short"},
        {"password": f"{PASSWORD}\n"},
        {"password": ["correct horse battery"]},
        {"password": PASSWORD, "role": "root"},
        {"passwords": PASSWORD},
    ]
    for spec in wrong:
        answer = ask(api, "POST", path, {"spec": spec})
        assert answer.code == 422
        assert b"horse" not in answer.content
        assert b"short" not in answer.content
    assert ask(api, "POST", f"{USERS}/a b/password", {"spec": {"password": PASSWORD}}).code == 422
    answer = ask(api, "POST", path, {"spec": {"password": PASSWORD, "role": "edit"}})
    assert (answer.code, json.loads(answer.content)["spec"]) == (201, {"role": "edit"})
    assert Users(api.state, lambda: datetime.now(UTC)).verify("anna", PASSWORD)
    listed = ask(api, "GET", USERS)
    assert b"anna" in listed.content
    assert b"scrypt" not in listed.content
    logged = "".join(path.read_text(errors="replace") for path in api.state.glob("audit*"))
    assert "users.vault.internal/password" in logged
    assert "horse" not in logged
    assert ask(api, "DELETE", f"{USERS}/anna").code == 200
    assert ask(api, "DELETE", f"{USERS}/anna").code == 404
