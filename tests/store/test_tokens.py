"""Tokens are stored as digests, expire, and are revoked at once, in each process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.api import PermanentError
from reconciler.store.tokens import Tokens

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path, lambda: NOW)


def test_a_token_is_found_by_its_text_and_only_its_digest_is_stored(tokens: Tokens, tmp_path: Path) -> None:
    token, text = tokens.create("anna", "edit", None)
    assert tokens.find(text) == token
    assert (token.user, token.role) == ("anna", "edit")
    stored = (tmp_path / "tokens.json").read_text()
    assert text.split("_", 2)[2] not in stored
    assert (tmp_path / "tokens.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "change", [lambda text: "", lambda text: text[:-1], lambda text: f"{text}x", str.lower, str.upper]
)
def test_any_other_text_is_no_token(tokens: Tokens, change: object) -> None:
    _, text = tokens.create("anna", "edit", None)
    assert callable(change)
    assert tokens.find(change(text)) is None


def test_the_secret_of_one_does_not_fit_the_id_of_another(tokens: Tokens) -> None:
    (_, first), (_, second) = tokens.create("a", "view", None), tokens.create("b", "admin", None)
    assert tokens.find(second[:14] + first[14:]) is None


def test_a_token_expires(tmp_path: Path) -> None:
    _, text = Tokens(tmp_path, lambda: NOW).create("anna", "view", NOW + timedelta(hours=1))
    assert Tokens(tmp_path, lambda: NOW + timedelta(minutes=59)).find(text)
    assert Tokens(tmp_path, lambda: NOW + timedelta(minutes=60)).find(text) is None


def test_another_process_revokes_it_at_once(tokens: Tokens, tmp_path: Path) -> None:
    token, text = tokens.create("anna", "view", None)
    assert tokens.find(text)
    assert Tokens(tmp_path, lambda: NOW).revoke(token.id) == token
    assert tokens.find(text) is None
    assert tokens.list() == ()
    assert tokens.revoke(token.id) is None


@pytest.mark.parametrize("user", ["", "a b", "a\nb", "-a", "x" * 64, "a/b"])
def test_names_of_users_go_into_headers_and_logs_as_they_are(tokens: Tokens, user: str) -> None:
    with pytest.raises(PermanentError, match="cannot be a user"):
        tokens.create(user, "view", None)


def test_a_damaged_file_lets_nobody_in_and_says_so(tokens: Tokens, tmp_path: Path) -> None:
    _, text = tokens.create("anna", "view", None)
    (tmp_path / "tokens.json").write_text('{"tokens": [{"id": "x"}]}')
    with pytest.raises(PermanentError, match="cannot be understood"):
        tokens.find(text)
