"""Users are kept with digests of their passwords alone."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api import PermanentError
from reconciler.store import passwords
from reconciler.store.passwords import Busy, digest_of, matches
from reconciler.store.users import Users

PASSWORD = "correct horse battery"


def users_in(directory: Path) -> Users:
    return Users(directory, lambda: datetime(2026, 5, 1, tzinfo=UTC))


def test_a_password_is_verified_and_not_stored(tmp_path: Path) -> None:
    users = users_in(tmp_path)
    anna = users.set_password("anna", PASSWORD, None)
    assert anna.role == "admin"
    assert users_in(tmp_path).verify("anna", PASSWORD) == anna
    assert users.verify("anna", PASSWORD + ".") is None
    assert users.verify("berta", PASSWORD) is None
    text = (tmp_path / "users.json").read_text()
    assert PASSWORD not in text
    assert (tmp_path / "users.json").stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in repr(anna)
    assert anna.digest not in repr(anna)


def test_two_digests_of_one_password_differ_and_are_expensive() -> None:
    first, second = digest_of(PASSWORD), digest_of(PASSWORD)
    assert first != second
    assert matches(PASSWORD, first)
    assert matches(PASSWORD, second)
    _, cost, block, parallel, *_ = first.split("$")
    # Bytes of memory, and how often it is gone through.
    assert (int(cost) * int(block) * 128, int(parallel)) == (32 * 1024 * 1024, 3)


def test_a_role_stays_and_the_epoch_does_not(tmp_path: Path) -> None:
    users = users_in(tmp_path)
    before = users.set_password("anna", PASSWORD, "view")
    after = users.set_password("anna", "another password", None)
    assert after.role == "view"
    assert after.epoch != before.epoch
    assert users.verify("anna", PASSWORD) is None
    assert users.remove("anna")
    assert not users.remove("anna")
    assert users.list() == ()


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("a b", PASSWORD, "cannot be a user"),
        ("anna", "short", "12 to 256 characters"),
        ("anna", "x" * 257, "12 to 256 characters"),
        ("anna", "with a line\nbreak", "typed on one line"),
    ],
)
def test_what_cannot_be_used_is_refused_without_the_password(
    tmp_path: Path, name: str, password: str, said: str
) -> None:
    with pytest.raises(PermanentError, match=said) as refused:
        users_in(tmp_path).set_password(name, password, "admin")
    assert password not in str(refused.value)


def test_a_damaged_file_lets_no_one_in(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text('{"anna": {"name": "anna", "role": "root"}}')
    with pytest.raises(PermanentError, match=r"users.json cannot be understood"):
        users_in(tmp_path).get("anna")


def test_passwords_are_checked_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.01)
    held = threading.Lock()
    held.acquire()
    monkeypatch.setattr(passwords, "_one_at_a_time", held)
    with pytest.raises(Busy):
        matches(PASSWORD, None)
