"""What is reported while waiting for a VaultService: progress, and one outcome at the end.

The loop and everything that waits for another process's loop use the same values, so that both read alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.api import ReplicaCounts

__all__ = ["Outcome", "Progress", "Report"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One service at one moment; `message` is the current activity or wait, `did` the plan that a pass
    carried out. `done`: the wait for this service is over.
    """

    name: str
    replicas: ReplicaCounts
    message: str
    did: str = ""
    done: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How waiting for a VaultService ended: `reason` is CamelCase, for programs; `message` a sentence."""

    ready: bool
    reason: str
    message: str


Report = Callable[[Progress], None]
"""Takes progress; may be called from any thread, any number of times."""
