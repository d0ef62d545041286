"""When Python collects garbage: rarely in a short command, as usual in a controller.

Nearly all that a command imports and builds lives until its end. Collections while it starts, and those of an interpreter
that ends, find nothing and take a fifth of the time of `vaultctl diff`.
"""

from __future__ import annotations

import gc
from typing import Final

__all__ = ["collect_as_usual", "collect_rarely", "keep_all"]

RARELY: Final = 100_000
"""Objects between two collections; the rest of a command that waits for hours has at most these in memory."""
USUAL: Final = gc.get_threshold()[0]


def collect_rarely() -> None:
    """For a process that has just started."""
    gc.set_threshold(RARELY)


def collect_as_usual() -> None:
    """For a process that has started and runs on; what it has imported is left out of collections."""
    gc.freeze()
    gc.set_threshold(USUAL)


def keep_all() -> None:
    """For a process that ends: no later collection looks at what there is now."""
    gc.freeze()
