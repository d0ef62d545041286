"""`python -m benchmarks [FAMILY...]`: every family of rows, or some.

A whole run writes docs/benchmarks.md; a partial run only prints. A family that fails is reported, and the others still run.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from typing import Any, Final

from benchmarks import planning
from benchmarks.harness import page, results
from benchmarks.harness.lab import Lab
from benchmarks.harness.row import Row

FAMILIES: Final = (
    "noop", "reaction", "rollout", "beside_swarm", "alone", "scale", "first_apply", "planning", "nodes", "several",
    "commands", "suite", "density", "throughput", "at_rest", "ui", "api", "gitops",
)  # fmt: skip


def main(names: Sequence[str]) -> None:
    """Run these families, or all, and print each row as soon as it is measured. Exits with 1 if a family fails."""
    if unknown := set(names) - set(FAMILIES):
        sys.exit(f"no such family: {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
    began = time.monotonic()
    found: list[Row] = []
    failures = dict.fromkeys(names or FAMILIES, "the run ended before")
    with Lab() as lab:
        for name in names or FAMILIES:
            print(f"# {name}, after {time.monotonic() - began:.0f} s", flush=True)
            try:
                for row in import_module(f"benchmarks.{name}").rows(lab):
                    print(page.text([row]), flush=True)
                    found.append(row)
            except Exception as error:  # the other families still run
                traceback.print_exc()
                failures[name] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            else:
                del failures[name]
            if not names:
                # Results are stored even if this run is interrupted.
                results.save_rows(_about(time.monotonic() - began, failures), found)
    missed = [row.what for row in found if row.holds is False]
    print(
        f"{len(found)} rows in {time.monotonic() - began:.0f} s; goals missed: {', '.join(missed) or 'none'}"
    )
    sys.exit(bool(failures))


def _about(seconds: float, failures: Mapping[str, str]) -> dict[str, Any]:
    day = datetime.now(UTC).date().isoformat()
    about = {"day": day, "failures": dict(failures), "machine": results.machine(), "seconds": seconds}
    return about | {"growth": _growth()}


@cache
def _growth() -> dict[str, list[tuple[int, float]]]:
    return planning.growth()


if __name__ == "__main__":
    main(sys.argv[1:])
