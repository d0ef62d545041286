"""How long answers take, counted by HAProxy in classes: it keeps averages only, and no quantile can be made of those.

They are counters of the entry that a pool has in the stick table `activity`, so they cost one addition for an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reconciler.core.traffic.tally import BOUNDS

__all__ = ["CLASSES", "rules"]

CLASSES: Final = len(BOUNDS) + 1
_RULE: Final = "    http-response sc-inc-gpc({index},2) if {{ res.timer.hdr {when} }}"


def rules() -> str:
    """The lines that count an answer in its class, where the request is tracked as the third counter."""
    return "\n".join(_RULE.format(index=index, when=when) for index, when in enumerate(_ranges()))


def _ranges() -> Iterator[str]:
    low = 0
    for high in BOUNDS:
        yield f"{low}:{high}"
        low = high + 1
    yield f"ge {low}"
