"""The header that says which credentials a registry wants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.registry.challenge import Challenge, read_challenges

HEADERS = {
    'Bearer realm="https://a.test/token",service="r.test",scope="repository:a/b:pull,push"': [
        (
            "bearer",
            {"realm": "https://a.test/token", "service": "r.test", "scope": "repository:a/b:pull,push"},
        )
    ],
    'bearer REALM=x , service = "y z"': [("bearer", {"realm": "x", "service": "y z"})],
    'Basic realm="a \\"quoted\\" one"': [("basic", {"realm": 'a "quoted" one'})],
    'Basic realm="r", Bearer realm="https://a.test"': [
        ("basic", {"realm": "r"}),
        ("bearer", {"realm": "https://a.test"}),
    ],
    "Negotiate, Basic realm=r": [("negotiate", {}), ("basic", {"realm": "r"})],
    "Basic": [("basic", {})],
    "": [],
    "=": [],
    'Bearer realm="not closed': [("bearer", {})],
}


@pytest.mark.parametrize(("header", "wanted"), HEADERS.items())
def test_what_a_header_says(header: str, wanted: list[tuple[str, dict[str, str]]]) -> None:
    assert read_challenges(header) == tuple(Challenge(*each) for each in wanted)


@given(st.text(alphabet='ab=", \\\t', max_size=200))
def test_any_header_is_read_to_an_end(header: str) -> None:
    for challenge in read_challenges(header):
        assert challenge.scheme


def test_a_long_header_takes_no_time() -> None:
    assert len(read_challenges('Bearer realm="' + "\\a" * 100_000)) == 1
    assert len(read_challenges("a=" * 100_000)) == 0
