"""Label and field selectors, as the Kubernetes documentation defines them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.query.errors import QueryError
from reconciler.api.query.selectors import FieldSelector, LabelSelector

LABELS = {"team": "web", "tier": "a", "beta": "", "example.org/rack": "r1", "size": "7"}

SELECTORS = {
    "": True,
    "team=web": True,
    "team==web": True,
    "team = web , tier = a": True,
    "team=web,tier=b": False,
    "team!=web": False,
    "team!=db": True,
    "other!=x": True,
    "team": True,
    "other": False,
    "!other": True,
    "!team": False,
    "beta=": True,
    "beta": True,
    "beta!=": False,
    "team=": False,
    "tier in (a, b)": True,
    "tier in (b)": False,
    "tier in (,b)": False,
    "beta in (,b)": True,
    "tier notin (a,b)": False,
    "tier notin (b,c)": True,
    "other notin (b,c)": True,
    "other in (b)": False,
    "example.org/rack=r1": True,
    "size>6": True,
    "size>7": False,
    "size<8": True,
    "other>1": False,
    "team>1": False,
    "in=x": False,
    "!in": True,
    "team=web,tier in (a),!other": True,
}


@pytest.mark.parametrize(("text", "selects"), SELECTORS.items())
def test_labels(text: str, selects: bool) -> None:
    assert LabelSelector.parse(text).matches(LABELS) is selects


@pytest.mark.parametrize(
    "text",
    ["=", "a=b,", ",a", "a=b c", "a in b", "a in (b", "a in ()x", "a in (b c)", "!a=b", "!", "a=b=c", "-a", "a=-b",
     "a/b/c=d", "a>x", "a>", "a in", "(a)", "a=" + "x" * 64, "a" * 10_001, "A_/x=y"],
)  # fmt: skip
def test_labels_that_cannot_be_read(text: str) -> None:
    with pytest.raises(QueryError, match="selector"):
        LabelSelector.parse(text)


FIELDS = {"metadata.name": "files", "metadata.namespace": "default", "note": "a,b=c"}

FIELD_SELECTORS = {
    "": True,
    "metadata.name=files": True,
    "metadata.name==files": True,
    "metadata.name=wiki": False,
    "metadata.name!=wiki": True,
    "metadata.name!=files": False,
    "metadata.name=files,metadata.namespace=default": True,
    "metadata.name=files,metadata.namespace=other": False,
    "metadata.name=": False,
    r"note=a\,b\=c": True,
}


@pytest.mark.parametrize(("text", "selects"), FIELD_SELECTORS.items())
def test_fields(text: str, selects: bool) -> None:
    assert FieldSelector.parse(text, FIELDS).matches(FIELDS) is selects


def test_an_unknown_field_is_named_with_the_known_ones() -> None:
    with pytest.raises(QueryError, match=r"not supported: spec\.plugin; .* metadata.name and"):
        FieldSelector.parse("spec.plugin=whoami", FIELDS)


@pytest.mark.parametrize("text", ["metadata.name", "=x", "a,b"])
def test_fields_that_cannot_be_read(text: str) -> None:
    with pytest.raises(QueryError, match="no FIELD=VALUE"):
        FieldSelector.parse(text, FIELDS)


@given(st.text(alphabet="ab=!(),<> in-_/\\", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (LabelSelector.parse, lambda each: FieldSelector.parse(each, FIELDS)):
        try:
            parse(text).matches(LABELS)
        except QueryError:
            continue
