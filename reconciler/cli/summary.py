"""How a VaultService is doing, in the few words that a table has room for.

One reading of the conditions for `get`, `describe` and for waiting, so that they never tell different stories.
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
"""The terminal colours that people expect."""
