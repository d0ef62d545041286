"""Which host names routes may claim."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.admission.hostnames import ALL_HOSTNAMES, is_permitted


@pytest.mark.parametrize(
    ("host", "patterns", "expected"),
    [
        ("app.example.org", ("app.example.org",), True),
        ("app.example.org", ("*.example.org",), True),
        ("a.b.example.org", ("*.example.org",), True),
        ("*.example.org", ("*.example.org",), True),
        ("*.b.example.org", ("*.example.org",), True),
        ("example.org", ("*.example.org",), False),
        ("badexample.org", ("*.example.org",), False),
        ("example.org.evil.test", ("*.example.org",), False),
        ("*.org", ("*.example.org",), False),
        # All names below it are more than the one that is permitted.
        ("*.example.org", ("app.example.org", "example.org"), False),
        ("app.example.org", ("other.test", "app.example.org"), True),
        ("app.example.org", (), False),
    ],
)
def test_hosts_and_patterns(host: str, patterns: tuple[str, ...], expected: bool) -> None:
    assert is_permitted(host, patterns) is expected


labels = st.sampled_from(["a", "b", "org", "test"])
names = st.lists(labels, min_size=1, max_size=4).map(".".join)


@given(names, names)
def test_a_wildcard_is_permitted_only_with_all_its_names(below: str, name: str) -> None:
    for pattern in (f"*.{name}", name):
        if is_permitted(f"*.{name}", (pattern,)):
            assert is_permitted(f"{below}.{name}", (pattern,))
    assert is_permitted(name, ALL_HOSTNAMES)
