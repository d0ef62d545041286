"""Contents as an engine with several nodes keeps them, so that a controller on another node can go on with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Kept"]


class Kept(Protocol):
    """Contents by their labels. One controller writes at a time."""

    def read(self) -> Mapping[str, bytes | None]:
        """All of them, None for one that cannot be opened. Raises EngineError."""

    def keep(self, label: str, content: bytes) -> None:
        """Keep this content in place of the one before. Raises RefusedError if it is too long, EngineError otherwise."""

    def forget(self, label: str) -> None:
        """Keep nothing of this label any more. Raises EngineError."""
