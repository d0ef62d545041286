"""How a VaultService is doing, in the few words that a table has room for.

One reading of the conditions for `get`, `describe` and for waiting, so that they never tell different stories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.controller.report.verdict import Summary, Verdict, summarize
from reconciler.store.base import StoredObject

if TYPE_CHECKING:
    from reconciler.api import Status, VaultService

__all__ = ["COLORS", "Summary", "Verdict", "document", "summarize", "url"]

COLORS: Final = {
    Verdict.READY: "green",
    Verdict.MOVING: "yellow",
    Verdict.FAILED: "red",
    Verdict.IDLE: "white",
}
"""The terminal colours that people expect."""


def url(service: VaultService) -> str:
    """Where the service is served on this machine."""
    return f"http://127.0.0.1:{service.spec.ports.http}/"


def document(stored: StoredObject, status: Status) -> dict[str, object]:
    """The whole resource with its status, as `get -o json` shows it; `apply` reads it back."""
    return stored.service.model_copy(update={"status": status}).to_document()
