"""`python -m tests.simulation [histories [first seed]]`: says how many a second, and tells the story of what went wrong."""

from __future__ import annotations

import sys

from tests.simulation.many import live_through_all

HISTORIES = 100_000

if __name__ == "__main__":
    histories, first = [*map(int, sys.argv[1:]), *(HISTORIES, 0)[len(sys.argv) - 1 :]]
    total = live_through_all(range(first, first + histories))
    for _, story in total.violations:
        print(story, end="\n\n")
    print(total)
    sys.exit(bool(total.violations))
