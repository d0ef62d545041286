"""`python -m tests.chaos [WORD]`: runs every crash point and fault, prints a line for each, writes docs/reliability.md.

With a WORD, only those with it in their name are run, and only their rows of the page are written.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import inf
from subprocess import SubprocessError
from typing import Final

from tests.chaos.apart import live_through_apart
from tests.chaos.fault import Fault
from tests.chaos.faults import FAULTS
from tests.chaos.figures import Figures
from tests.chaos.machines import CHANGES, MACHINE_FAULTS, suffer_together
from tests.chaos.ordeal import live_through
from tests.chaos.page import NAMES, PAGE, render
from tests.chaos.private_engine import home_of_engines
from tests.chaos.unforeseen import try_the_unforeseen
from tests.e2e.crash_points import POINTS, CrashPoint, crash_stage
from tests.e2e.outcome import Outcome

HISTORIES: Final = 2_000
INPUTS: Final = 20_000


def crash(points: Sequence[CrashPoint]) -> list[Outcome]:
    """Run crash points on one stage."""
    if not points:
        return []
    survived = []
    with crash_stage() as stage:
        for point in points:
            try:
                survived.append(stage.survive(point))
            except AssertionError as error:
                survived.append(Outcome(str(point), inf, 0, 0, (str(error),), ()))
            print(survived[-1], flush=True)
    return survived


def suffer(faults: Sequence[Fault]) -> list[Outcome]:
    """Run faults on services, one after the other; those of the engine on a separate engine."""
    outcomes = []
    for fault in faults:
        if fault.daemon is None:
            outcomes.append(_told(fault, live_through))
    if apart := [fault for fault in faults if fault.daemon is not None]:
        with home_of_engines() as home:
            outcomes += [_told(fault, partial(live_through_apart, root=home)) for fault in apart]
    return outcomes


def _told(fault: Fault, live: Callable[[Fault], Outcome]) -> Outcome:
    """Print and return the outcome; a service that never healed is an outcome too, so the next fault still runs."""
    try:
        outcome = live(fault)
    except (AssertionError, RuntimeError, SubprocessError) as error:
        outcome = Outcome(fault.name, inf, 0, 0, (str(error),), ())
    print(outcome, flush=True)
    return outcome


def chaos(word: str) -> bool:
    """Run everything with this word in its name, or all if it is empty; returns whether all guarantees were kept."""
    began = time.monotonic()
    outcomes = crash([point for point in POINTS if word in str(point)])
    outcomes += suffer([fault for fault in FAULTS if word in fault.name])
    together = (*MACHINE_FAULTS, *CHANGES.values())
    outcomes += suffer_together([fault for fault in together if word in fault.name])
    good = all(each.is_good for each in outcomes)
    figures = Figures.read().newer(outcomes)
    if not word:
        unforeseen = try_the_unforeseen(HISTORIES, INPUTS)
        print(unforeseen)
        good = good and not (unforeseen.violations or unforeseen.finds)
        figures = replace(figures, unforeseen=unforeseen)
    # Also after a failure: the diff of the page then shows it.
    figures = figures.only(NAMES)
    figures.write()
    PAGE.write_text(render(figures), encoding="utf-8")
    print(f"{len(outcomes)} crash points and faults in {time.monotonic() - began:.0f} s")
    return good


if __name__ == "__main__":
    # Like Ctrl-C, so that everything that was started is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(not chaos(" ".join(sys.argv[1:])))
