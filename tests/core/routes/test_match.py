"""Which route gets a request: exact hosts before wildcards, longer names and paths before shorter ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.routes.claims import HttpKey
from reconciler.core.routes.match import match
from reconciler.core.routes.table import Table

TABLE = Table(
    "main",
    http={
        HttpKey("app.test", "/"): "app",
        HttpKey("app.test", "/api/"): "api",
        HttpKey("app.test", "/api/v2/"): "v2",
        HttpKey("only.test", "/in/"): "in",
        HttpKey("*.test", "/"): "any",
        HttpKey("*.test", "/health/"): "health",
        HttpKey("*.deep.test", "/x/"): "deep",
    },
)


@pytest.mark.parametrize(
    ("host", "path", "route"),
    [
        ("app.test", "/", "app"),
        ("app.test", "/api", "api"),
        ("app.test", "/api/", "api"),
        ("app.test", "/api/v1", "api"),
        ("app.test", "/api/v2/x", "v2"),
        ("app.test", "/apis", "app"),
        ("app.test", "/health", "app"),
        ("only.test", "/in/side", "in"),
        ("only.test", "/out", "any"),
        ("other.test", "/health/x", "health"),
        ("a.b.test", "/", "any"),
        ("a.deep.test", "/x", "deep"),
        ("a.deep.test", "/y", "any"),
        ("a.b.c.d.test", "/", "any"),
        ("a.b.c.d.e.test", "/", None),
        ("test", "/", None),
        ("app.example", "/", None),
        ("", "/", None),
        ("*.test", "/", "any"),
        ("app.test", "*", None),
    ],
)
def test_the_most_specific_route_gets_a_request(host: str, path: str, route: str | None) -> None:
    assert match(TABLE, host, path) == route


labels = st.sampled_from(["a", "b"])
names = st.lists(labels, min_size=1, max_size=3).map(".".join)
prefixes = st.lists(labels, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts) + "/")
keys = st.builds(HttpKey, names | names.map("*.{}".format), prefixes)


@given(st.sets(keys, max_size=8), names, prefixes)
def test_no_other_route_that_fits_is_more_specific(found: set[HttpKey], host: str, path: str) -> None:
    def fits(key: HttpKey) -> bool:
        below = host.endswith(key.host[1:]) if key.host.startswith("*") else host == key.host
        return below and path.startswith(key.prefix)

    def specific(key: HttpKey) -> tuple[bool, int, int]:
        return (not key.host.startswith("*"), len(key.host), len(key.prefix))

    table = Table("main", http={key: str(key) for key in found})
    best = max((key for key in found if fits(key)), key=specific, default=None)

    assert match(table, host, path) == (str(best) if best else None)
