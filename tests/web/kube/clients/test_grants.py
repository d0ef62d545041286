"""Only what was granted gives a role, the greatest counts, and no authority gives a reserved name."""

from __future__ import annotations

import pytest

from reconciler.web.kube.clients.client import RefusedError
from reconciler.web.kube.clients.grants import (
    MAX_GROUPS,
    Grant,
    Grants,
    checked_groups,
    checked_user,
    parse_grant,
)

GRANTS = Grants(
    tuple(
        map(parse_grant, ["view=group:staff", "edit=group:deployers", "admin=user:anna", "edit=user:a:b=c"])
    )
)


@pytest.mark.parametrize(
    ("user", "groups", "role"),
    [
        ("anna", (), "admin"),
        ("anna", ("staff",), "admin"),
        ("ben", ("staff",), "view"),
        ("ben", ("staff", "deployers"), "edit"),
        ("ben", ("deployers", "staff"), "edit"),
        ("ben", (), None),
        ("ben", ("Staff", "staff ", "anna"), None),
        ("staff", (), None),
        ("a:b=c", (), "edit"),
    ],
)
def test_the_greatest_role_that_was_granted(user: str, groups: tuple[str, ...], role: str | None) -> None:
    assert GRANTS.role_of(user, groups) == role


def test_without_grants_there_is_no_role() -> None:
    assert Grants().role_of("anna", ("admin", "vault:admin")) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "edit",
        "edit=anna",
        "root=user:anna",
        "edit=user:",
        "edit=role:x",
        "edit=user:a\nb",
        "edit=group:vault:edit",
        "view=user:system:admin",
        "edit=user:" + "x" * 257,
    ],
)
def test_what_is_no_grant_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no grant|given by the controller"):
        parse_grant(text)


def test_a_grant_is_read() -> None:
    assert parse_grant("edit=group:https://id/#a=b") == Grant("edit", "group", "https://id/#a=b")


@pytest.mark.parametrize("name", ["", "vault:admin", "system:masters", "a\x00", "x" * 257, 7, None, ["anna"]])
def test_no_other_authority_gives_a_reserved_or_an_unreadable_name(name: object) -> None:
    with pytest.raises(RefusedError):
        checked_user(name)


def test_reserved_groups_are_left_out() -> None:
    assert checked_groups(["a", "system:masters", "vault:admin", "b", "a"]) == ("a", "b")


@pytest.mark.parametrize(
    "groups", [[7], ["a", None], [""], [["a"]], ["a\n"], map(str, range(MAX_GROUPS + 1))]
)
def test_groups_that_are_none_are_refused(groups: list[object]) -> None:
    with pytest.raises(RefusedError):
        checked_groups(groups)
