"""Tokens are printed once, listed without their secret, and revoked by their ID."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.store.tokens import Tokens
from tests.cli.conftest import Vaultctl


def find(state: Path, text: str) -> object:
    return Tokens(state, lambda: datetime.now(UTC)).find(text)


def test_a_token_is_created_listed_and_revoked(vaultctl: Vaultctl, state: Path) -> None:
    text = vaultctl("token", "create", "anna", "--role", "edit", "--expires", "90d").stdout.strip()
    assert find(state, text)
    listed = vaultctl("token", "list").stdout
    assert text not in listed
    (line,) = listed.splitlines()[1:]
    identifier, user, role, *_ = line.split()
    assert (user, role) == ("anna", "edit")
    assert line.endswith(("in 89d", "in 90d"))
    (document,) = json.loads(vaultctl("token", "list", "-o", "json").stdout)
    assert (document["id"], document["user"]) == (identifier, "anna")
    assert vaultctl("token", "revoke", identifier).stdout == f"token {identifier} of anna revoked\n"
    assert find(state, text) is None


def test_one_without_an_end_says_so_and_an_expired_one_too(vaultctl: Vaultctl) -> None:
    vaultctl("token", "create", "forever")
    vaultctl("token", "create", "over", "--expires", "1ms")
    ends = {line.split()[1]: line.split()[-1] for line in vaultctl("token", "list").stdout.splitlines()[1:]}
    assert ends == {"forever": "never", "over": "expired"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "a b"), "cannot be a user"),
        (("create", "a", "--role", "root"), "is not one of 'view', 'edit', 'admin'"),
        (("revoke", "12345678"), "there is no token '12345678'"),
    ],
)
def test_mistakes_are_named(vaultctl: Vaultctl, words: tuple[str, ...], said: str) -> None:
    done = vaultctl("token", *words)
    assert done.exit_code != 0
    assert said in done.stderr


def test_a_kubeconfig_holds_the_authority_and_a_new_token(vaultctl: Vaultctl, state: Path) -> None:
    import yaml

    refused = vaultctl("kubeconfig")
    assert refused.exit_code != 0
    assert "start the controller with --api once" in refused.stderr
    (state / "api").mkdir(parents=True)
    (state / "api" / "ca.crt").write_text("certificate")
    config = yaml.safe_load(vaultctl("kubeconfig", "--user", "anna", "--server", "https://vault:6443").stdout)
    assert config["clusters"][0]["cluster"] == {
        "server": "https://vault:6443",
        "certificate-authority-data": "Y2VydGlmaWNhdGU=",
    }
    assert config["contexts"][0]["context"] == {"cluster": "vault", "user": "anna", "namespace": "default"}
    assert find(state, config["users"][0]["user"]["token"])
