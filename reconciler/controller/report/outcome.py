"""What is reported while waiting for an object: progress, and one outcome at the end.

The loop and everything that waits for another process's loop use the same values, so that both read alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.api import ReplicaCounts
    from reconciler.api.status import ObjectStatus

__all__ = ["Outcome", "Progress", "Report", "counts_of"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One object at one moment; `name` is its label, `message` the current activity or wait, `did` the plan that a pass
    carried out. `replicas` is None for a kind without any. `done`: the wait for this object is over.
    """

    name: str
    replicas: ReplicaCounts | None
    message: str
    did: str = ""
    done: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How waiting for an object ended: `reason` is CamelCase, for programs; `message` a sentence."""

    ready: bool
    reason: str
    message: str


def counts_of(status: ObjectStatus) -> ReplicaCounts | None:
    """The counts of replicas, where the kind has any."""
    return getattr(status, "replicas", None)


Report = Callable[[Progress], None]
"""Takes progress; may be called from any thread, any number of times."""
