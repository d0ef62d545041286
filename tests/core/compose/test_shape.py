"""What plugins may return: every Python value that is no Compose, with the place that the message names."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.compose.shape import MAX_DEPTH, MAX_VALUES, ShapeError, misnamed, misshapen, plain


class Colour(str, Enum):  # noqa: UP042 - the older spelling is what plugins have
    RED = "red"


class Level(IntEnum):
    HIGH = 3


def endless() -> dict[str, Any]:
    own: dict[str, Any] = {}
    own["again"] = own
    return own


def unfolding() -> list[Any]:
    """2^40 values out of forty objects."""
    value: list[Any] = []
    for _ in range(MAX_DEPTH - 2):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"services": {"web": {"command": {1, 2}}}}, r"^services\.web\.command is of type set"),
        ({"a": [0, Decimal(1)]}, r"^a\[1\] is of type Decimal"),
        ({"a": Path("/x")}, "^a is of type PosixPath"),
        ({"a": b"x"}, "^a is of type bytes"),
        ({"a": float("nan")}, "^a is the number nan"),
        ({"a": 2**256}, "^a is a number of more than 256 bits"),
        ({"a": {1: "x"}}, "^a has the key 1; keys must be text"),
        ({"a": "x\0y"}, "^a holds a character that no file can hold"),
        ({"a": {"x\ud800": 1}}, "^a holds a character that no file can hold"),
        (endless, f"at most {MAX_DEPTH} levels; does it contain itself"),
        (unfolding, f"at most {MAX_VALUES} values"),
    ],
    # A name that is the same in every process: the address of a function is not.
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_what_no_fragment_can_hold(value: object, complaint: str) -> None:
    with pytest.raises(ShapeError, match=complaint):
        # Made here: to print one of those as the name of a test would take for ever.
        plain({"a": value()} if callable(value) else value)


def test_members_of_enumerations_read_only_mappings_and_tuples_become_plain() -> None:
    copied = plain(MappingProxyType({"a": (Colour.RED, Level.HIGH, True, 1.5, None)}))
    assert copied == {"a": ["red", 3, True, 1.5, None]}
    assert [type(item) for item in copied["a"]] == [str, int, bool, float, type(None)]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(Colour.RED),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
)


@given(VALUES)
def test_whatever_passes_can_be_hashed_written_and_read_back(value: object) -> None:
    try:
        copied = plain(value)
    except ShapeError:
        return
    json.dumps(copied, sort_keys=True).encode()
    yaml.safe_dump(copied)
    assert plain(copied) == copied


@pytest.mark.parametrize("name", ["", "a b", "-a", "a\nb", "a/b", "ä", "a" * 129])
def test_a_name_that_compose_would_refuse(name: str) -> None:
    assert misnamed(name) is not None


def test_names_of_compose() -> None:
    assert [misnamed(name) for name in ("web", "files_web1", "A.b-c")] == [None] * 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "a b"),
        ("image", "x\nprivileged: true"),
        ("environment", {"A": []}),
        ("labels", 3),
        ("networks", "vault-net"),
        ("depends_on", {"db": "started"}),
        ("volumes", {"data": "/data"}),
        ("volumes", [None]),
        ("ports", 80),
        ("configs", [{"target": "/x"}]),
        ("secrets", [["s"]]),
        ("healthcheck", "curl"),
        ("deploy", []),
        ("deploy.resources", 1),
        ("deploy.resources.limits", "1G"),
        ("deploy.replicas", -1),
        ("deploy.replicas", True),
        ("deploy.replicas", "many"),
        ("scale", 1001),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(field: str, value: object) -> None:
    service: object = value
    for key in reversed(field.split(".")):
        service = {key: service}
    assert isinstance(service, dict)
    (complaint,) = misshapen(service)
    assert complaint.startswith(f"{field} must be ")


def test_a_service_that_says_everything_in_either_way() -> None:
    short = {
        "image": "registry.example:5000/a/b:1@sha256:00",
        "environment": ["A=1", "B"],
        "labels": ["a=b"],
        "networks": ["n"],
        "depends_on": ["db"],
        "volumes": ["v:/v"],
        "ports": [80, "81:80"],
        "configs": ["c"],
        "deploy": {"replicas": "3"},
    }
    long = {
        "environment": {"A": 1, "B": None, "C": True},
        "labels": {"a": "b"},
        "networks": {"n": None},
        "depends_on": {"db": {"condition": "service_started"}},
        "volumes": [{"type": "volume"}],
        "ports": [{"target": 80}],
        "secrets": [{"source": "s"}],
        "deploy": {"replicas": 3, "resources": {"limits": {}}},
    }
    assert [*misshapen(short), *misshapen(long)] == []
