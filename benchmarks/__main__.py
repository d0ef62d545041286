"""`python -m benchmarks [FAMILY...]`: every family of rows, or some.

A whole run writes docs/benchmarks.md; a part of it only prints. A family that breaks is said to have, and costs the others
nothing.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Final

from benchmarks import planning
from benchmarks.harness import page, results
from benchmarks.harness.lab import Lab
from benchmarks.harness.row import Row

FAMILIES: Final = (
    "noop", "reaction", "rollout", "scale", "first_apply", "planning", "commands", "suite", "at_rest", "gitops",
)  # fmt: skip


def main(names: Sequence[str]) -> None:
    """Run these families, or all, and print each row as soon as it is there. Exits with 1 if a family breaks."""
    if unknown := set(names) - set(FAMILIES):
        sys.exit(f"no such family: {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    began = time.monotonic()
    found, failures = measure(names or FAMILIES)
    if not names:
        about = {
            "day": datetime.now(UTC).date().isoformat(),
            "failures": failures,
            "growth": planning.growth(),
            "machine": results.machine(),
            "seconds": time.monotonic() - began,
        }
        results.save_rows(about, found)
    missed = [row.what for row in found if row.holds is False]
    print(
        f"{len(found)} rows in {time.monotonic() - began:.0f} s; goals missed: {', '.join(missed) or 'none'}"
    )
    sys.exit(bool(failures))


def measure(names: Sequence[str]) -> tuple[list[Row], dict[str, str]]:
    """The rows of these families, and why some have none."""
    began = time.monotonic()
    found: list[Row] = []
    failures: dict[str, str] = {}
    with Lab() as lab:
        for name in names:
            print(f"# {name}, after {time.monotonic() - began:.0f} s", flush=True)
            try:
                for row in import_module(f"benchmarks.{name}").rows(lab):
                    print(page.text([row]), flush=True)
                    found.append(row)
            except Exception as error:  # whatever it is, the others are worth measuring
                traceback.print_exc()
                failures[name] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return found, failures


if __name__ == "__main__":
    main(sys.argv[1:])
