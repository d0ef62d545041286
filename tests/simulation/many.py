"""Many histories, on all cores, with the figures that are published."""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

from tests.simulation.histories import live_through
from tests.simulation.simulation import Figures
from tests.simulation.story import Violation

BATCH: Final = 50
LOWEST_PRIORITY: Final = 19
CPU_SECONDS: Final = 60.0
"""The deadline of one history, in seconds of a processor; they take a few hundredths, the worst a few tenths."""
SHOWN: Final = 3
"""Stories of violations that are told; one is enough to work on."""


@dataclass(frozen=True)
class Total:
    """What all histories came to; `violations` are stories by seed."""

    histories: int
    seconds: float
    figures: Figures
    violations: tuple[tuple[int, str], ...]

    def __str__(self) -> str:
        rate = self.histories / self.seconds
        return (
            f"{self.histories} histories in {self.seconds:.0f} s ({rate:.0f}/s): {self.figures.passes} passes, "
            f"{self.figures.calls} calls, {self.figures.faults} faults, {self.figures.requests} requests, "
            f"{self.figures.cuts} cuts of a Swarm, {self.figures.takeovers} takeovers of its lease; "
            f"{len(self.violations)} violations"
        )


def live_through_all(
    seeds: Sequence[int],
    processes: int | None = None,
    progress: Callable[[int, float], None] = lambda done, seconds: None,
) -> Total:
    """Live through these seeds; stops early when a few of them were violated.

    `progress` is called after each batch, with the number of histories so far and the seconds that they took.
    """
    began = time.monotonic()
    figures, histories = Figures(0, 0, 0, 0), 0
    violations: list[tuple[int, str]] = []
    batches = [seeds[start : start + BATCH] for start in range(0, len(seeds), BATCH)]
    workers, context = processes or os.cpu_count(), get_context("spawn")
    # Forked after threads were started, a process may inherit a lock that nobody will release. Whoever waits for something
    # real beside them goes first.
    with ProcessPoolExecutor(workers, context, initializer=os.nice, initargs=(LOWEST_PRIORITY,)) as pool:
        for count, done, found in pool.map(_batch, batches):
            figures, histories = figures + done, histories + count
            violations += found
            progress(histories, time.monotonic() - began)
            if len(violations) >= SHOWN:
                pool.shutdown(cancel_futures=True)
                break
    return Total(histories, time.monotonic() - began, figures, tuple(violations))


def _batch(seeds: Sequence[int]) -> tuple[int, Figures, list[tuple[int, str]]]:
    figures = Figures(0, 0, 0, 0)
    found: list[tuple[int, str]] = []
    with quietly():
        for seed in seeds:
            try:
                with computing_for(CPU_SECONDS):
                    figures += live_through(seed)
            except Violation as violation:
                found.append((seed, str(violation)))
    return len(seeds), figures, found


@contextmanager
def quietly() -> Iterator[None]:
    """Without log lines, of which a history has hundreds, and without a garbage collector, which finds nothing."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        logging.disable(before)


@contextmanager
def computing_for(seconds: float) -> Iterator[None]:
    """Raise Violation in what computes for longer. Only in the main thread of a process."""

    def ring(signum: int, frame: object) -> None:
        raise Violation(f"no end after {seconds:g} s of computing")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
