"""Texts in parts that HAProxy can read at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.proxy.haproxy.chunks import in_chunks


@given(st.lists(st.text("ab", max_size=12)), st.integers(1, 20))
def test_nothing_is_lost_and_only_a_single_text_is_longer(texts: list[str], most: int) -> None:
    parts = list(in_chunks(texts, most))
    assert [text for part in parts for text in part] == texts
    assert all(part for part in parts)
    assert all(len(part) == 1 or sum(map(len, part)) + len(part) - 1 < most for part in parts)
