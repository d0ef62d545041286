"""Which host names the routes of manifests may claim: the operator decides, because a name of another service or of
another owner would get that one's requests, and a certificate.

A pattern is a host name, `*.` with a name for all names below it, or `*` for every name.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

__all__ = ["ALL_HOSTNAMES", "is_permitted"]

ANY: Final = "*"
ALL_HOSTNAMES: Final = (ANY,)


def is_permitted(host: str, patterns: Collection[str]) -> bool:
    """Whether a pattern has this host name; one that begins with `*.`, with all names that it stands for."""
    return any(pattern in (ANY, host) or _is_below(host, pattern) for pattern in patterns)


def _is_below(host: str, pattern: str) -> bool:
    return pattern.startswith("*.") and host.endswith(pattern[1:])
