"""No history breaks a promise; the same seed tells the same story.

SIMULATIONS=n lives through more or fewer of them, SEED=n through one, whose story is then told if it fails.
"""

from __future__ import annotations

import os
import time

import pytest

from reconciler.core.assess.capabilities import EngineCapabilities
from tests.simulation.histories import live_through, simulation_of
from tests.simulation.many import computing_for, live_through_all, quietly
from tests.simulation.simulation import Simulation
from tests.simulation.story import Violation

HISTORIES = int(os.environ.get("SIMULATIONS", "1000"))
SEED = os.environ.get("SEED")
AT_ONCE = 1000
"""Histories of one test, so that a run tells how far it is."""

pytestmark = pytest.mark.promise


@pytest.mark.long
# Each history has a deadline of its own, which counts what it computes. How long that takes at the lowest priority is up to
# what else runs.
@pytest.mark.timeout(0)
@pytest.mark.parametrize("first", range(0, HISTORIES, AT_ONCE) if SEED is None else [int(SEED)])
def test_no_history_breaks_a_promise(first: int) -> None:
    if SEED is not None:
        with quietly():
            live_through(first)
        return
    seeds = range(first, min(first + AT_ONCE, HISTORIES))
    total = live_through_all(seeds)
    print(total)
    assert not total.violations, "\n\n".join(story for _, story in total.violations)
    assert total.histories == len(seeds)


@pytest.mark.parametrize("seed", [1, 8, 26, 64, 88, 96, 134])
def test_the_same_seed_tells_the_same_story(seed: int) -> None:
    stories = []
    with quietly():
        for _ in range(2):
            simulation = simulation_of(seed)
            simulation.run()
            stories.append(str(simulation.story))
    assert stories[0] == stories[1]
    assert "is quiet from now on" in stories[0]


@pytest.mark.parametrize("seed", range(20))
def test_an_engine_that_starts_what_it_creates_breaks_no_promise(seed: int) -> None:
    with quietly():
        Simulation(seed, EngineCapabilities(creates_stopped=False)).run()


def test_a_history_without_an_end_is_a_violation_and_one_that_waits_is_none() -> None:
    with computing_for(0.2):
        time.sleep(0.5)
    with pytest.raises(Violation, match="no end"), computing_for(0.2):
        compute_for_ever()


def compute_for_ever() -> None:
    while True:
        pass
