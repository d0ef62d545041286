"""docs/reliability.md matches the code: each crash point, each fault with its promise, and the text of the template."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.chaos.faults import FAULTS, SHORT, SHORT_NAMES
from tests.chaos.page import PAGE, render
from tests.chaos.unforeseen import Unforeseen
from tests.e2e.crash_points import POINTS
from tests.e2e.outcome import Outcome

FIGURE: Final = re.compile(r"\d[\d,.]*")


def _page(seconds: float = 1.0, failed: int = 0) -> str:
    return render(
        [Outcome(str(point), seconds, 1000, 0, (), ()) for point in POINTS],
        FAULTS,
        [Outcome(fault.name, seconds, 1000, failed, (), ()) for fault in FAULTS],
        Unforeseen(10, 0, 10, 0),
    )


def test_the_page_is_up_to_date_but_for_its_figures() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert FIGURE.sub("#", written) == FIGURE.sub("#", _page()), "run: make chaos"


def test_figures_of_a_run_are_in_the_page() -> None:
    page = _page(seconds=4.25, failed=17)
    assert page.count("4.2 |") == len(POINTS) + len(FAULTS)
    assert page.count("17 of 1,000") == len(FAULTS)


def test_a_fault_without_an_outcome_is_no_page() -> None:
    with pytest.raises(KeyError):
        render([], FAULTS, [], Unforeseen(0, 0, 0, 0))


def test_names_of_faults_are_their_own() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert {fault.name for fault in SHORT} == SHORT_NAMES
