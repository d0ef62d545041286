"""Which headers the expressions mean; that HAProxy and a real server mean the same is shown in test_forged_headers.py."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.proxy.haproxy.headers import FOLDED, OURS, expression

MARKS = "!#$%&'*+-.^_`|~"
"""What RFC 9110 allows in a name beside letters and digits."""


def as_cgi(name: str) -> str:
    """The variable that the most careless server makes of a header's name."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


@given(st.sampled_from([name for name in OURS if "*" not in name]), st.data())
def test_no_name_that_becomes_the_same_variable_is_left(name: str, data: st.DataObject) -> None:
    spelt = "".join(data.draw(st.sampled_from(MARKS)) if mark == "-" else mark for mark in name)
    assert as_cgi(spelt) == as_cgi(name)
    assert re.fullmatch(expression(OURS), spelt)


@given(st.text(alphabet=f"abcfhilnoprtuwxdey109{MARKS}", min_size=1, max_size=20))
def test_a_name_that_stays_becomes_no_variable_of_ours(name: str) -> None:
    if not re.search(expression(OURS), name):
        variables = {as_cgi(ours) for ours in OURS if "*" not in ours}
        beginnings = tuple(as_cgi(ours[:-1]) for ours in OURS if "*" in ours)
        assert as_cgi(name) not in variables
        assert not as_cgi(name).startswith(beginnings)


@pytest.mark.parametrize("name", ["accept", "authorization", "x-custom", "x-forwardedness", "proxy-authorization",
                                  "origin", "x-original-filename", "xx-forwarded-for", "cookie", "x-realm"])  # fmt: skip
def test_other_headers_stay(name: str) -> None:
    assert not re.search(expression(OURS), name)


@pytest.mark.parametrize("name", FOLDED)
def test_a_second_name_for_the_length_goes_and_the_proper_one_stays(name: str) -> None:
    expected = expression(FOLDED, other_marks=True)
    assert not re.search(expected, name)
    assert re.search(expected, name.replace("-", "_"))
    assert re.search(expected, name.replace("-", "."))


def test_a_beginning_is_all_that_begin_so() -> None:
    found = expression(["X-Auth-*", "Remote-User"])
    assert [name for name in ("x-auth-user", "x_auth_a_b", "remote_user", "x-auth", "remote-users", "x-author")
            if re.search(found, name)] == ["x-auth-user", "x_auth_a_b", "remote_user"]  # fmt: skip
    assert expression([]) == ""
