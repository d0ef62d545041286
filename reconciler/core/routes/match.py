"""Which route gets a request: the rule that every proxy implements, as a function.

The proxy in memory decides by it, and the tests of HAProxy's maps compare each answer with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.core.routes.claims import HttpKey
from reconciler.core.routes.table import Table

__all__ = ["WILDCARD_LABELS", "candidates", "match"]

WILDCARD_LABELS: Final = 4
"""How many labels of a name a `*` stands for at most."""


def match(table: Table, host: str, path: str) -> str | None:
    """The id of the route for a host, in lower case and without port, and a path; None if there is none."""
    for candidate in candidates(host):
        for prefix in _prefixes(path):
            if route := table.http.get(HttpKey(candidate, prefix)):
                return route
    return None


def candidates(host: str) -> Iterator[str]:
    """The exact host, then the wildcards that it is below of, the longest first."""
    yield host
    for _ in range(WILDCARD_LABELS):
        _, dot, host = host.partition(".")
        if not dot:
            return
        yield f"*.{host}"


def _prefixes(path: str) -> Iterator[str]:
    """The prefixes of a path that end with a whole part of it, the longest first."""
    whole = f"{path}/"
    end = len(whole)
    while (end := whole.rfind("/", 0, end)) >= 0:
        yield whole[: end + 1]
