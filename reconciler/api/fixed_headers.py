"""Headers that no setting of a route may name: the proxy itself writes them, and others would break or forge a message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic_core import PydanticCustomError

__all__ = ["check_free"]

FIXED: Final = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say where a message ends or which connection carries it."""
OURS: Final = ("forwarded", "x-forwarded-", "x-real-ip", "x-request-id")
"""Headers that tell a replica where a request came from; spec.trustedProxies of the gateway decides on those."""


def check_free(names: Iterable[str]) -> None:
    """Raise an error for a header that the proxy writes, or that is named twice."""
    lower = [name.lower() for name in names]
    if len(set(lower)) < len(lower):
        raise ValueError("must name every header only once")
    if fixed := sorted(name for name in lower if name in FIXED or name.startswith(OURS)):
        raise PydanticCustomError(
            "header", "must not change {header}, which the proxy writes", {"header": fixed[0]}
        )
