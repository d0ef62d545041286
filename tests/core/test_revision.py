from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.revision import CURRENT_FORMULA, FORMULAS, digest, revision_of, revisions_of

SERVICE: dict[str, Any] = {
    "image": "web:1",
    "environment": {"B": "2", "A": "1"},
    "networks": {"vault-net": {}},
}


def test_it_is_what_containers_of_older_controllers_say() -> None:
    # These are written on containers that run: if one of them changes, an upgrade replaces everything.
    assert digest({"b": [1, "ü"], "a": None}) == "6bafd57c7869"
    assert revision_of(SERVICE) == "v1-af8ce119670b"


def test_the_order_of_keys_means_nothing() -> None:
    assert revision_of(dict(reversed(SERVICE.items()))) == revision_of(SERVICE)


@pytest.mark.parametrize(
    "addition",
    [
        {"deploy": {"replicas": 5}},
        {"scale": 4},
        {"depends_on": ["database"]},
        {"profiles": ["debug"]},
        {"pull_policy": "never"},
        {"build": "."},
    ],
)
def test_what_no_container_knows_is_no_part_of_it(addition: dict[str, Any]) -> None:
    assert revision_of(SERVICE | addition) == revision_of(SERVICE)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "web:2"},
        {"environment": {"A": "1"}},
        {"command": ["serve"]},
        {"labels": {"a": "b"}},
        {"networks": {"vault-net": {}, "control-net": {}}},
        {"deploy": {"resources": {"limits": {"memory": "1g"}}}},
        {"x-content": {"/etc/app.conf": "0123456789ab"}},
    ],
)
def test_what_a_container_is_made_of_is_part_of_it(change: dict[str, Any]) -> None:
    assert revision_of(SERVICE | change) != revision_of(SERVICE)


def test_every_formula_that_was_ever_used_is_still_read() -> None:
    assert revision_of(SERVICE) in revisions_of(SERVICE)
    assert len(revisions_of(SERVICE)) == len(FORMULAS)
    assert CURRENT_FORMULA in FORMULAS


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    )
)
def test_a_digest_is_always_twelve_hex_digits(value: object) -> None:
    assert len(digest(value)) == 12
    assert set(digest(value)) <= set("0123456789abcdef")
    assert digest(value) == digest(value)
