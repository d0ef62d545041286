"""docs/benchmarks.md is generated from the stored results, and marks missed goals."""

from __future__ import annotations

from benchmarks.harness.page import markdown, text
from benchmarks.harness.results import BENCH, PAGE, RESULTS, render
from benchmarks.harness.row import SECONDS, Goal, Row

KEPT = Row("a pass", SECONDS, (0.01,), "a call: 3 ms", "Compose", (1.0,), Goal(ratio_at_most=0.05))
MISSED = Row("a rollout", SECONDS, (4.0,), "2 s", "Swarm", (), Goal(at_most=3.2), "Swarm was left out: no.")


def test_the_page_is_what_the_kept_results_come_to() -> None:
    assert (RESULTS / BENCH).exists(), "`make bench` has to run once"
    assert PAGE.read_text() == render()


def test_a_missed_goal_says_so_in_its_row() -> None:
    kept, missed = markdown([KEPT, MISSED]).splitlines()[2:4]
    assert "| kept |" in kept
    assert "| **MISSED** |" in missed


def test_a_note_stands_below_the_table_once() -> None:
    lines = markdown([MISSED, KEPT, MISSED]).splitlines()
    assert [line for line in lines if "left out" in line] == ["1. Swarm was left out: no."]
    assert sum("[1]" in line for line in lines) == 2


def test_every_row_has_as_many_cells_as_the_header() -> None:
    assert len({line.count("|") for line in markdown([KEPT, MISSED]).splitlines() if "|" in line}) == 1


def test_the_terminal_shows_verdict_limit_and_note() -> None:
    shown = text([MISSED])
    for part in ("a rollout: 4.00 s", "goal ≤ 3.20 s: MISSED", "limit 2 s", "left out"):
        assert part in shown
