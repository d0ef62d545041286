"""`python -m benchmarks [FAMILY...]`: every family of rows, or some.

A whole run writes docs/benchmarks.md; a part of it only prints.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from typing import Final

from benchmarks import planning
from benchmarks.harness import page, results
from benchmarks.harness.lab import Lab
from benchmarks.harness.row import Row

FAMILIES: Final = (
    "noop", "reaction", "scale", "rollout", "first_apply", "planning", "at_rest", "commands", "suite",
)  # fmt: skip


def main(names: list[str]) -> None:
    """Run these families, or all; print each row as soon as it is there."""
    if unknown := set(names) - set(FAMILIES):
        sys.exit(f"no such family: {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    began = time.monotonic()
    found: list[Row] = []
    with Lab() as lab:
        for name in names or FAMILIES:
            print(f"# {name}, after {time.monotonic() - began:.0f} s", flush=True)
            for row in import_module(f"benchmarks.{name}").rows(lab):
                print(page.text([row]), flush=True)
                found.append(row)
    if not names:
        about = {
            "day": datetime.now(UTC).date().isoformat(),
            "growth": planning.growth(),
            "machine": results.machine(),
            "seconds": time.monotonic() - began,
        }
        results.save_rows(about, found)
    missed = [row.what for row in found if row.holds is False]
    print(
        f"{len(found)} rows in {time.monotonic() - began:.0f} s; goals missed: {', '.join(missed) or 'none'}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
