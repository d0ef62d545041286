"""`python -m tests.simulation [histories [first seed]]`: says how many a second, and tells the story of what went wrong."""

from __future__ import annotations

import sys
from typing import Final

from tests.simulation.many import live_through_all

HISTORIES: Final = 100_000
TOLD_EACH: Final = 2_000
"""Histories between two lines of progress, which are a minute or two."""


def tell(done: int, seconds: float) -> None:
    """Say on stderr how far it is."""
    if done % TOLD_EACH == 0:
        print(f"{done} histories in {seconds:.0f} s ({done / seconds:.0f}/s)", file=sys.stderr)


if __name__ == "__main__":
    histories, first = [*map(int, sys.argv[1:]), *(HISTORIES, 0)[len(sys.argv) - 1 :]]
    total = live_through_all(range(first, first + histories), progress=tell)
    for _, story in total.violations:
        print(story, end="\n\n")
    print(total)
    sys.exit(bool(total.violations))
