"""Alternating rounds: every round runs all candidates, so that other load of the machine affects all of them equally."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

COMMAND_SECONDS: Final = 300.0
"""A command that takes longer than this is broken, not slow."""

Samples = tuple[float, ...]


def alternate(
    candidates: Mapping[str, Callable[[], object]], rounds: int, *, warm_up: int = 1
) -> Mapping[str, Samples]:
    """Seconds of each candidate by name. The first `warm_up` rounds do not count: they open connections, fill caches."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(warm_up + rounds):
        for name, run in candidates.items():
            taken = timed(run)
            if number >= warm_up:
                seconds[name].append(taken)
    return {name: tuple(taken) for name, taken in seconds.items()}


def timed(run: Callable[[], object]) -> float:
    """Its run time in seconds."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def command(
    *words: str, env: Mapping[str, str] | None = None, codes: Sequence[int] = (0,)
) -> Callable[[], None]:
    """A command line that is timed as a whole; an exit code not in `codes` stops the benchmark with its output."""

    def run() -> None:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS, env=env
        )
        if done.returncode not in codes:
            raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    return run
