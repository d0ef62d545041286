"""Whether this controller may act: `require` of a world, which raises VaultError where another controller does."""

from __future__ import annotations

__all__ = ["always"]


def always() -> None:
    """For an engine that only one controller can act on."""
