"""The status of a VaultService, short enough for a table.

One implementation for `get`, `describe` and for waiting, so that they agree.
"""

from __future__ import annotations

from typing import Final

from reconciler.controller.report.verdict import Summary, Verdict, summarize

__all__ = ["COLORS", "Summary", "Verdict", "summarize"]

COLORS: Final = {
    Verdict.READY: "green",
    Verdict.MOVING: "yellow",
    Verdict.FAILED: "red",
    Verdict.IDLE: "white",
}
"""The usual terminal colours."""
