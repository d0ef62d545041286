from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.desired.revision import digest, revision_of, revisions_of

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


KEY = bytes(range(32))


def test_every_formula_that_was_ever_used_is_still_read() -> None:
    assert revision_of(SERVICE, KEY) == "v2-c441dee4fa56"
    assert revisions_of(SERVICE, KEY) == (revision_of(SERVICE, KEY), revision_of(SERVICE))
    assert revisions_of(SERVICE) == (revision_of(SERVICE),)


def test_without_the_key_a_list_of_words_finds_nothing() -> None:
    told = revision_of(SERVICE | {"environment": {"PASSWORD": "correct-horse"}}, KEY)
    guesses = [SERVICE | {"environment": {"PASSWORD": word}} for word in ("battery", "correct-horse")]
    assert told in {revision_of(guess, KEY) for guess in guesses}
    for guess in guesses:
        assert told not in revisions_of(guess, bytes(32)) + revisions_of(guess)
        assert told.partition("-")[2] != digest(guess)


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
