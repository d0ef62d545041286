"""The result of a pass over an object of any kind."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.api.kinds import Ref


@dataclass(frozen=True, slots=True)
class Result:
    """The requeue request of a pass: after some seconds, at once (0), or at the next event (None).

    `did` is the executed plan, so that the loop can detect a cycle. `wakes`: other objects that depend on what it changed,
    and are due for a pass now.
    `drains`: it saw a node that is drained and found nothing of its own left to move.
    """

    requeue_after: float | None = None
    converged: bool = False
    gone: bool = False
    did: str = ""
    wakes: tuple[Ref, ...] = ()
    drains: bool = False
