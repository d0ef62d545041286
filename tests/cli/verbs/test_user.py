"""Users of the page are added, listed and deleted; their passwords are never printed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.store.users import Users
from tests.cli.conftest import Vaultctl

PASSWORD = "correct horse battery"


def test_a_user_is_added_listed_and_deleted(vaultctl: Vaultctl, state: Path) -> None:
    done = vaultctl("user", "set-password", "anna", input=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.stdout == "anna may log in, with the role admin\n"
    assert PASSWORD not in done.output
    assert Users(state, lambda: datetime.now(UTC)).verify("anna", PASSWORD)
    added = vaultctl("user", "set-password", "guest", "--role", "view", "--stdin", input=f"{PASSWORD}\n")
    assert added.stdout == "guest may log in, with the role view\n"
    lines = vaultctl("user", "list").stdout.splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [["anna", "admin"], ["guest", "view"]]
    documents = json.loads(vaultctl("user", "list", "-o", "json").stdout)
    assert [sorted(each) for each in documents] == [["changed", "name", "role"]] * 2
    assert vaultctl("user", "delete", "guest").stdout == "user guest deleted\n"


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (("set-password", "a b", "--stdin"), PASSWORD, "cannot be a user"),
        (("set-password", "anna", "--stdin"), "short", "12 to 256 characters"),
        (("set-password", "anna", "--role", "root"), "", "is not one of 'view', 'edit', 'admin'"),
        (("delete", "anna"), "", "there is no user 'anna'"),
    ],
)
def test_mistakes_are_named(vaultctl: Vaultctl, words: tuple[str, ...], given: str, said: str) -> None:
    done = vaultctl("user", *words, input=given)
    assert done.exit_code != 0
    assert said in done.stderr
