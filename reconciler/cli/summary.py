"""How a VaultService is doing, in the few words that a table has room for.

One reading of the conditions for `get`, `describe` and for waiting, so that they never tell different stories.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reconciler.api import Status, VaultService, find_condition
from reconciler.store.base import StoredObject

__all__ = ["Summary", "Verdict", "document", "summarize", "url"]

COLORS: Final = {"ready": "green", "moving": "yellow", "failed": "red", "idle": "white"}


class Verdict(StrEnum):
    """What the conditions come to, for the newest generation of the spec."""

    READY = "ready"
    MOVING = "moving"
    FAILED = "failed"
    IDLE = "idle"

    @property
    def color(self) -> str:
        """The terminal colour that people expect of it."""
        return COLORS[self.value]


@dataclass(frozen=True)
class Summary:
    """A verdict, the CamelCase reason for programs, and a sentence for people."""

    verdict: Verdict
    reason: str
    message: str


def summarize(stored: StoredObject, status: Status) -> Summary:
    """Judge a service by its newest generation: a Ready of an older one is not yet the answer to the last change."""
    generation = stored.service.metadata.generation
    ready, stalled = (find_condition(status.conditions, kind) for kind in ("Ready", "Stalled"))
    if stored.deletion is not None:
        return Summary(Verdict.MOVING, "Deleting", "is being deleted")
    if stored.problem:
        return Summary(Verdict.FAILED, stored.problem_reason, stored.problem)
    if stored.service.spec.suspend:
        return Summary(Verdict.IDLE, "Suspended", "is suspended; what runs keeps running")
    if ready is None or ready.observed_generation < generation:
        return Summary(Verdict.MOVING, "Pending", "waits for a controller to see its newest spec")
    if ready.status == "True":
        return Summary(Verdict.READY, ready.reason, ready.message)
    if stalled is not None and stalled.status == "True" and stalled.observed_generation >= generation:
        return Summary(Verdict.FAILED, stalled.reason, stalled.message or ready.message)
    return Summary(Verdict.MOVING, ready.reason, ready.message)


def url(service: VaultService) -> str:
    """Where the service is served on this machine."""
    return f"http://127.0.0.1:{service.spec.ports.http}/"


def document(stored: StoredObject, status: Status) -> dict[str, object]:
    """The whole resource with its status, as `get -o json` shows it; `apply` reads it back."""
    return stored.service.model_copy(update={"status": status}).to_document()
