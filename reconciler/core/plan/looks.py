"""How often a wait without an event is looked at: the longer it lasts, the less often."""

from __future__ import annotations

from math import inf
from typing import Final

DRAIN_LOOK: Final = 0.05
"""Seconds between two looks at a draining server, at first: no event tells when its last session ends."""

CHECK_LOOK: Final = 1.0
"""Initial seconds between two checks of a server that waits for its first good health check, in case its event is missed.
"""

LATE_BY: Final = 0.1
LONGEST_LOOK: Final = 5.0
"""Upper limit of the delay with which the end of a long wait is seen; below it, the delay is a tenth of the wait."""


def next_look(first: float, since: float, deadline: float = inf) -> float:
    """Seconds until the next check of a wait that has lasted `since` seconds; never later than its deadline."""
    return max(first, min(since * LATE_BY, LONGEST_LOOK, deadline - since))
