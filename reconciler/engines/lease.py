"""The lease of an engine with several nodes: which controller acts on it, written where all of them can read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Lease", "LeaseRecord"]


@dataclass(frozen=True, slots=True)
class Lease:
    """What a lease says. `holder` identifies a controller, empty for a lease that was given back; `node` is the name of its
    node. `term` counts the holders; `version` is another one after each write, whatever was written.
    """

    version: int
    holder: str
    node: str
    term: int


class LeaseRecord(Protocol):
    """A lease that several controllers read and write. It knows no time."""

    def read(self) -> Lease | None:
        """What is written now; None if nothing is. Raises EngineError."""

    def is_first(self) -> bool:
        """Whether there was never a lease. It says so once, and from then on to all that there was one. Raises EngineError,
        after which it may have said so.
        """

    def write(self, before: Lease | None, holder: str, node: str, term: int) -> bool:
        """Write it, if it is still as `before`; whether it was. After an EngineError it may be written or not."""
