"""Values that are written are read back unchanged, in any context."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.yaml_loader import YamlReader
from reconciler.api.yaml_nodes import Scalar, to_plain
from reconciler.api.yaml_writing import flow, scalar

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20).filter(
    lambda text: "\0" not in text
)


@pytest.mark.parametrize(
    ("value", "style", "written"),
    [
        (5, "'", "5"),
        (True, None, "true"),
        (None, None, "null"),
        ("debug", None, "debug"),
        ("2s", None, "2s"),
        ("50%", None, "50%"),
        ("haproxy:3.0", None, "haproxy:3.0"),
        ("5", None, '"5"'),
        ("true", None, '"true"'),
        ("~", None, '"~"'),
        ("25921e05", None, '"25921e05"'),
        ("0089", None, '"0089"'),
        ("0o17", None, '"0o17"'),
        ("1e3", None, '"1e3"'),
        ("-.5", None, '"-.5"'),
        ("on", None, '"on"'),
        ("1.2.3-rc1", None, "1.2.3-rc1"),
        ("", None, '""'),
        ("- a", None, '"- a"'),
        ("a: b", None, '"a: b"'),
        ("a #b", None, '"a #b"'),
        ("it's", "'", "'it''s'"),
        ("two\nlines", "'", '"two\\nlines"'),
        ("\x85", None, '"\\u0085"'),
    ],
)
def test_quotes(value: Scalar, style: str | None, written: str) -> None:
    assert scalar(value, style) == written


@given(
    TEXTS,
    st.sampled_from([None, "'", '"']),
    st.sampled_from(["a: {}\n", "{{a: {}}}", "{{b: 1, a: {}, c: 2}}\n"]),
)
def test_a_text_is_read_as_itself(value: str, style: str | None, place: str) -> None:
    reader = YamlReader(place.format(scalar(value, style)), Path())
    (root,) = [to_plain(each) for each in reader.documents()]
    assert root["a"] == value


@given(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=3))
def test_a_mapping_is_read_as_itself(value: dict[str, str]) -> None:
    reader = YamlReader(f"a: {flow(value)}\n", Path())
    assert [to_plain(each) for each in reader.documents()] == [{"a": value}] or "<<" in value
