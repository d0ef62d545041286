"""Patches do what RFC 6902 and RFC 7396 say, and refuse everything else without changing the document."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.app.cluster.patches import MAX_COPIED, PatchError, json_patch, merge_patch

MERGES = [
    # The table of RFC 7396, appendix A.
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]  # fmt: skip


@pytest.mark.parametrize(("document", "patch", "wanted"), MERGES)
def test_merge_patches(document: Any, patch: Any, wanted: Any) -> None:
    assert merge_patch(document, patch) == wanted


OPERATIONS = [
    ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
    ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
    ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
    ({"a": [1]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2]}),
    ({"a": 1}, [{"op": "add", "path": "", "value": 5}], 5),
    ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
    ({"a": [1, 2]}, [{"op": "remove", "path": "/a/0"}], {"a": [2]}),
    ({"a": 1}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
    ({"a": [1, 2]}, [{"op": "replace", "path": "/a/1", "value": 3}], {"a": [1, 3]}),
    ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
    ({"a": [1, 2, 3]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": [2, 3, 1]}),
    ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "c": {"b": 1}}),
    ({"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "test", "path": "/m~0n", "value": 2}], {"m~n": 2}),
    ({"~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"~1": 10}),
    ({"": 1}, [{"op": "replace", "path": "/", "value": 2}], {"": 2}),
    ({"a": 1.0}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1.0}),
]  # fmt: skip


@pytest.mark.parametrize(("document", "operations", "wanted"), OPERATIONS)
def test_json_patches(document: Any, operations: Any, wanted: Any) -> None:
    assert json_patch(document, operations) == wanted


REFUSED = [
    ({"a": 1}, {"op": "remove", "path": "/b"}, "nothing at /b"),
    ({"a": 1}, {"op": "replace", "path": "/b", "value": 1}, "nothing at /b"),
    ({"a": 1}, {"op": "add", "path": "/b/c", "value": 1}, "nothing at /b"),
    ({"a": [1]}, {"op": "add", "path": "/a/2", "value": 1}, "beyond the end"),
    ({"a": [1]}, {"op": "replace", "path": "/a/-", "value": 1}, "no position"),
    ({"a": [1]}, {"op": "remove", "path": "/a/01"}, "no position"),
    ({"a": [1]}, {"op": "remove", "path": "/a/-1"}, "no position"),
    ({"a": [1]}, {"op": "remove", "path": "/a/²"}, "no position"),
    ({"a": 1}, {"op": "add", "path": "/a/b", "value": 1}, "neither an object nor a list"),
    ({"a": 1}, {"op": "test", "path": "/a", "value": True}, "another one"),
    ({"a": True}, {"op": "test", "path": "/a", "value": 1}, "another one"),
    ({"a": {"b": 1}}, {"op": "move", "from": "/a", "path": "/a/b"}, "into itself"),
    ({"a": 1}, {"op": "remove", "path": ""}, "whole document"),
    ({"a": 1}, {"op": "add", "path": "/b"}, "has no value"),
    ({"a": 1}, {"op": "add", "path": "b", "value": 1}, "has no path"),
    ({"a": 1}, {"op": "drop", "path": "/a"}, "has no op of"),
    ({"a": 1}, {"path": "/a"}, "has no op of"),
    ({"a": 1}, "remove", "is not an object"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "operation", "said"), REFUSED)
def test_what_does_not_fit_is_refused_as_a_whole(document: Any, operation: Any, said: str) -> None:
    before = repr(document)
    with pytest.raises(PatchError, match=said):
        json_patch(document, [{"op": "add", "path": "/new", "value": 1}, operation])
    assert repr(document) == before


@pytest.mark.parametrize("operations", [None, {}, "text", 5, [{}] * 10_001])
def test_a_patch_is_a_list_of_some_operations(operations: Any) -> None:
    with pytest.raises(PatchError):
        json_patch({}, operations)


def test_copies_of_copies_do_not_fill_the_memory() -> None:
    copies = [{"op": "copy", "from": "/a", "path": f"/a/{number}"} for number in range(200)]
    with pytest.raises(PatchError, match=f"copies have more than {MAX_COPIED} characters"):
        json_patch({"a": {"b": "x" * 1000}}, copies)


def test_a_document_that_is_nested_without_end_is_refused() -> None:
    deeper = [{"op": "add", "path": "/a" * number, "value": {}} for number in range(1, 1500)]
    with pytest.raises(PatchError, match="nested too deeply"):
        json_patch({}, [*deeper, {"op": "copy", "from": "/a", "path": "/b"}])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
STEPS = st.sampled_from(["", "/", "/a", "/a/0", "/a/b", "/-", "/0", "~", "/~1"])


@given(
    JSON,
    st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": STEPS},
            optional={"value": JSON, "from": STEPS},
        ),
        max_size=4,
    ),
)
def test_whatever_is_sent_is_done_or_refused(document: Any, operations: Any) -> None:
    before = repr(document)
    with suppress(PatchError):
        json_patch(document, operations)
    assert repr(document) == before


@given(JSON, JSON)
def test_a_merge_twice_is_a_merge_once(document: Any, patch: Any) -> None:
    once = merge_patch(document, patch)
    assert merge_patch(once, patch) == once
