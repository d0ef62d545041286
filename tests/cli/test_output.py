"""What is written for programs cannot be used against the terminal of a person."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.output import to_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.sampled_from([None, 2]))
def test_json_keeps_every_value_and_shows_no_control_character(value: Any, indent: int | None) -> None:
    written = to_json(value, indent)
    assert json.loads(written) == value
    assert all(line.isprintable() for line in written.split("\n"))
