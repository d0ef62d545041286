"""docs/reliability.md matches the code: each crash point, each fault with its promise, the figures, and the template."""

from __future__ import annotations

import pytest

from tests.chaos.faults import FAULTS, SHORT, SHORT_NAMES
from tests.chaos.figures import Figures
from tests.chaos.machines import CHANGES, MACHINE_FAULTS
from tests.chaos.page import NAMES, PAGE, render
from tests.chaos.unforeseen import Unforeseen
from tests.e2e.crash_points import POINTS
from tests.e2e.outcome import Outcome


def _page(seconds: float = 1.0, failed: int = 0) -> str:
    outcomes = {name: Outcome(name, seconds, 1000, failed, (), (), 2.25) for name in NAMES}
    return render(Figures(outcomes, Unforeseen(10, 0, 10, 0)))


def test_the_page_is_made_of_the_figures() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(Figures.read()), "run: python -m tests.chaos.page"


def test_figures_of_a_run_are_in_the_page() -> None:
    page = _page(seconds=4.25, failed=17)
    assert page.count("4.2 |") == len(POINTS) + len(FAULTS) + len(MACHINE_FAULTS) + len(CHANGES)
    assert page.count("17 of 1,000") == len(NAMES) - len(CHANGES)
    assert page.count("| 1,000 | 17 |") == len(CHANGES)
    assert page.count("| 2.2 |") == len(MACHINE_FAULTS)


def test_a_fault_without_an_outcome_is_no_page() -> None:
    with pytest.raises(KeyError):
        render(Figures({}, Unforeseen(0, 0, 0, 0)))


def test_a_fault_of_several_machines_may_be_tried_later() -> None:
    outcomes = {name: Outcome(name, 1.0, 1000, 0, (), ()) for name in (*map(str, POINTS), *map(str, FAULTS))}
    page = render(Figures(outcomes, Unforeseen(10, 0, 10, 0)))
    assert page.count("no figures yet") == len(MACHINE_FAULTS) + len(CHANGES)


def test_names_of_harms_are_their_own() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert {fault.name for fault in SHORT} == SHORT_NAMES
