"""Feeds targets with inputs and keeps count; an input that takes too long or raises the wrong thing is a find."""

from __future__ import annotations

import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Final

from tests.fuzz.kubernetes import end
from tests.fuzz.targets import TARGETS

PROCESSOR_SECONDS: Final = 10.0
"""What one input may take of a processor, whatever else runs; the slowest takes a few hundredths."""
DEADLINE: Final = 300.0
"""Seconds for one input that waits and computes nothing."""
MAX_GROWTH: Final = 300 * 1024
"""KiB by which the process may grow while it takes any number of inputs."""
WARM: Final = 20
"""Memory is measured from that part of the inputs on: the first ones load what all need."""
MAX_FINDS: Final = 5
"""Finds of one target after which it is clear that there is something to mend."""


class HungError(Exception):
    """One input took longer than PROCESSOR_SECONDS or DEADLINE."""


@dataclass(frozen=True)
class Find:
    """An input that did what none may do; `seed` makes it again."""

    target: str
    seed: int
    story: str

    def __str__(self) -> str:
        return f"{self.target}, seed {self.seed}:\n{self.story}"


@dataclass(frozen=True)
class Report:
    """What a campaign came to; `before` and `grown` are the memory of the process in KiB, after the first inputs and since
    then.
    """

    target: str
    inputs: int
    seconds: float
    before: int
    grown: int
    finds: tuple[Find, ...]

    def __str__(self) -> str:
        rate = self.inputs / self.seconds
        grown = f"{self.before / 1024:,.0f} MiB of memory before, {self.grown / 1024:+,.0f} after"
        return (
            f"{self.target:<18} {self.inputs:>8,} inputs {rate:>8,.0f}/s  {len(self.finds)} finds  ({grown})"
        )


def attack(target: str, first: int, inputs: int) -> Report:
    """Feed one target with the inputs of seeds `first` to `first + inputs - 1`."""
    finds: list[Find] = []
    started, before = time.monotonic(), _resident()
    done = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:
        for seed in range(first, first + inputs):
            done += 1
            if done == max(1, inputs // WARM):
                before = _resident()
            try:
                with _deadline():
                    TARGETS[target](Random(seed), Path(directory))
            except Exception:
                finds.append(Find(target, seed, traceback.format_exc()))
                if len(finds) == MAX_FINDS:
                    break
        end(Path(directory))
    return Report(target, done, time.monotonic() - started, before, _resident() - before, tuple(finds))


@contextmanager
def _deadline() -> Iterator[None]:
    def ring(signum: int, frame: FrameType | None) -> None:
        limit = f"{PROCESSOR_SECONDS:g} s of a processor" if signum == signal.SIGPROF else f"{DEADLINE:g} s"
        raise HungError(f"no end after {limit}")

    limits = (
        (signal.SIGPROF, signal.ITIMER_PROF, PROCESSOR_SECONDS),
        (signal.SIGALRM, signal.ITIMER_REAL, DEADLINE),
    )
    for signum, timer, seconds in limits:
        signal.signal(signum, ring)
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for _, timer, _ in limits:
            signal.setitimer(timer, 0)


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
