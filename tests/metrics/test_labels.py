"""The cached text of labels equals the rendered one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.labels import Labels, label_text


@given(st.dictionaries(st.sampled_from(["a", "b", "le"]), st.text()))
def test_remembered_and_fresh_text_are_the_same(labels: dict[str, str]) -> None:
    assert label_text(Labels(labels)) == label_text(labels)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ({}, ""),
        ({"a": "b"}, '{a="b"}'),
        ({"a": 'q"\\\n', "b": ""}, r'{a="q\"\\\n",b=""}'),
    ],
)
def test_labels_are_written_in_order_and_escaped(labels: dict[str, str], text: str) -> None:
    assert Labels(labels).text == text
