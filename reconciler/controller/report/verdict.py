"""The verdict of the conditions of an object: ready, in progress, failed, or suspended.

One implementation for waiting and display, so that they agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from reconciler.api import find_condition
from reconciler.api.reasons import Reason
from reconciler.store.base import StoredObject

if TYPE_CHECKING:
    from reconciler.api.status import ObjectStatus


UNUSABLE: Final = (Reason.INVALID_MANIFEST, Reason.OBJECT_UNREADABLE)
"""Problems of the object itself."""


class Verdict(StrEnum):
    """The verdict of the conditions, for the newest generation of the spec."""

    READY = "ready"
    MOVING = "moving"
    FAILED = "failed"
    IDLE = "idle"


@dataclass(frozen=True)
class Summary:
    """A verdict, the CamelCase reason for programs, and a sentence for people."""

    verdict: Verdict
    reason: str
    message: str


def summarize(stored: StoredObject[Any], status: ObjectStatus) -> Summary:
    """Judge an object by its newest generation: a Ready of an older one does not cover the last change."""
    ready, stalled = (find_condition(status.conditions, kind) for kind in ("Ready", "Stalled"))
    if stored.deletion is not None:
        if stalled is not None and stalled.status == "True" and stalled.reason == Reason.STILL_ROUTED:
            return Summary(Verdict.FAILED, stalled.reason, stalled.message)
        return Summary(Verdict.MOVING, Reason.DELETING, "is being deleted")
    # A commit that could not be fetched, or is not trusted, does not affect the previous one, which stays in use.
    held_back = stored.problem if stored.problem_reason not in UNUSABLE else ""
    if stored.problem and not held_back:
        return Summary(Verdict.FAILED, stored.problem_reason, stored.problem)
    if stored.resource.is_suspended:
        return Summary(Verdict.IDLE, Reason.SUSPENDED, "is suspended; what runs keeps running")
    if ready is None or ready.observed_generation < stored.generation:
        return Summary(Verdict.MOVING, Reason.PENDING, "waits for a controller to see its newest spec")
    if stored.requested_at and stored.requested_at != status.last_handled_reconcile_at:
        # The status of an earlier run may be outdated.
        return Summary(Verdict.MOVING, Reason.PENDING, "waits for a controller to look at it")
    if ready.status == "True":
        return Summary(Verdict.READY, ready.reason, "; ".join(filter(None, (ready.message, held_back))))
    failed = (
        stalled is not None and stalled.status == "True" and stalled.observed_generation >= stored.generation
    )
    if held_back and stalled is not None and stalled.reason == stored.problem_reason:
        failed = False
    if stalled is not None and failed and not _is_going_back(status, stalled.reason):
        return Summary(Verdict.FAILED, stalled.reason, stalled.message or ready.message)
    return Summary(Verdict.MOVING, ready.reason, ready.message)


def _is_going_back(status: ObjectStatus, reason: str) -> bool:
    """Whether a rollback is still in progress: the verdict waits until the good revision is complete again."""
    reconciling = find_condition(status.conditions, "Reconciling")
    return reason == Reason.ROLLED_BACK and reconciling is not None and reconciling.status == "True"
