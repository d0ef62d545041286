"""The figures that are kept are those of the last run of each fault."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Final

from tests.chaos.figures import FIGURES, Figures
from tests.chaos.page import NAMES
from tests.chaos.unforeseen import Unforeseen
from tests.e2e.outcome import Outcome

GOOD: Final = Outcome("a node dies", 12.5, 1000, 3, (), (), 4.5)
NEVER: Final = Outcome("a cable is cut", inf, 10, 10, ("it never healed",), ("a container",))


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    figures = Figures({each.harm: each for each in (GOOD, NEVER)}, Unforeseen(1, 2, 3, 4))
    figures.write(tmp_path / "figures.json")
    # What was broken is told by the run: its words may be those of a machine.
    assert Figures.read(tmp_path / "figures.json") == figures.newer([replace(NEVER, broken=())])


def test_the_last_run_of_a_fault_counts() -> None:
    figures = Figures({GOOD.harm: GOOD, NEVER.harm: NEVER}, Unforeseen(0, 0, 0, 0))
    again = replace(NEVER, seconds=3.0)
    assert figures.newer([again]).outcomes == {GOOD.harm: GOOD, NEVER.harm: again}


def test_those_of_other_names_are_left_out() -> None:
    figures = Figures({GOOD.harm: GOOD, NEVER.harm: NEVER}, Unforeseen(0, 0, 0, 0))
    assert list(figures.only([NEVER.harm, "new", GOOD.harm]).outcomes) == [NEVER.harm, GOOD.harm]


def test_there_are_no_figures_of_what_is_not_tried() -> None:
    figures = Figures.read(FIGURES)
    assert figures.only(NAMES) == figures
    assert list(figures.outcomes) == [name for name in NAMES if name in figures.outcomes]
