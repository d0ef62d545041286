"""Random tests: a part of the simulated histories and of the invalid inputs, for the figures of the page."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from tests.fuzz.campaign import attack
from tests.fuzz.targets import TARGETS
from tests.simulation.many import live_through_all


@dataclass(frozen=True)
class Unforeseen:
    """Numbers of runs and failures."""

    histories: int
    violations: int
    inputs: int
    finds: int

    def __str__(self) -> str:
        return (
            f"{self.histories:,} simulated histories, {self.violations} violations; "
            f"{self.inputs:,} bad inputs, {self.finds} finds"
        )


def try_the_unforeseen(histories: int, inputs: int) -> Unforeseen:
    """Run histories, then send every interface its share of the inputs; seeds from 0."""
    total = live_through_all(range(histories))
    share = inputs // len(TARGETS)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        reports = list(pool.map(attack, TARGETS, [0] * len(TARGETS), [share] * len(TARGETS)))
    return Unforeseen(
        total.histories,
        len(total.violations),
        sum(report.inputs for report in reports),
        sum(len(report.finds) for report in reports),
    )
