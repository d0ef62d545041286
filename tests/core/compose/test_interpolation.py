from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.compose.interpolation import InterpolationError, escape, interpolate, unescape

SETTINGS = {"NAME": "ada", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$NAME", "ada"),
        ("${NAME}", "ada"),
        ("<${NAME}${NAME}>", "<adaada>"),
        ("$NAMES", ""),
        ("${UNSET}", ""),
        ("$$NAME", "$NAME"),
        ("$$$NAME", "$ada"),
        ("${UNSET:-x y}", "x y"),
        ("${UNSET-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${NAME:-x}", "ada"),
        ("${NAME:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${UNSET+x}", ""),
        ("${NAME:?needed}", "ada"),
        ("${EMPTY?needed}", ""),
    ],
)
def test_the_forms_of_compose(text: str, expected: str) -> None:
    assert interpolate(text, SETTINGS) == expected


@pytest.mark.parametrize("text", ["$", "50$ each", "${", "${}", "${1A}", "${NAME", "${A:-${B}}"])
def test_a_dollar_that_starts_nothing_is_an_error(text: str) -> None:
    with pytest.raises(InterpolationError, match=r"\$\$"):
        interpolate(text, SETTINGS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${UNSET?set me}", "UNSET is required: set me"),
        ("${EMPTY:?}", r"EMPTY is required: set it in spec\.env"),
    ],
)
def test_what_is_required_has_to_be_set(text: str, message: str) -> None:
    with pytest.raises(InterpolationError, match=message):
        interpolate(text, SETTINGS)


def test_it_goes_into_every_value_and_no_key() -> None:
    value = {"$NAME": ["$NAME", ("$NAME", 3, None, True)]}
    assert interpolate(value, SETTINGS) == {"$NAME": ["ada", ["ada", 3, None, True]]}


values = st.recursive(
    st.none() | st.integers() | st.text(alphabet="a$ {}"),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
)


@given(values)
def test_what_was_escaped_comes_back_as_it_was(value: object) -> None:
    assert interpolate(escape(value), SETTINGS) == value
    assert unescape(escape(value)) == value


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_any_text_is_resolved_or_refused(text: str, settings: dict[str, str]) -> None:
    try:
        assert isinstance(interpolate(text, settings), str)
    except InterpolationError:
        assert "$" in text
