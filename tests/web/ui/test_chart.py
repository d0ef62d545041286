"""Curves of an hour: in their frame whatever the numbers are, with gaps where nothing was counted."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.traffic.hour import Span
from reconciler.core.traffic.tally import BOUNDS, Tally
from reconciler.web.ui.chart import HEIGHT, WIDTH, bars, line
from reconciler.web.ui.numbers import p95_of

NOW = 1_800_000_030.0
MINUTE = NOW // 60 * 60


def span(minutes_ago: int, requests: int, errors: int = 0) -> Span:
    times = (requests, *(0,) * len(BOUNDS))
    return Span(MINUTE - 60 * minutes_ago, 60.0, Tally(requests, errors, times))


def numbers_of(path: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", path)]


@given(st.dictionaries(st.integers(0, 59), st.tuples(st.integers(0, 10**9), st.floats(0, 1)), max_size=60))
def test_nothing_is_drawn_outside_of_the_frame(hour: dict[int, tuple[int, float]]) -> None:
    spans = [span(ago, asked, int(asked * part)) for ago, (asked, part) in sorted(hour.items(), reverse=True)]
    drawn = bars("x", spans, NOW, lambda each: each.rate, lambda each: each.tally.errors / 60, [])
    for path in (drawn.path, drawn.over):
        assert re.fullmatch(r"(M[\d.]+ \d+V[\d.]+h[\d.]+V\d+z)*", path)
        assert all(0 <= each <= WIDTH for each in numbers_of(path))
    times = line("x", spans, NOW, p95_of, [])
    for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", times.path):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT


def test_the_present_minute_is_at_the_right_edge() -> None:
    drawn = bars("x", [span(59, 60), span(0, 120)], NOW, lambda each: each.rate, lambda each: None, [])
    assert drawn.top == 2.0
    assert drawn.path == "M1.0 90V45.0h8.0V90zM591.0 90V0.0h8.0V90z"
    assert drawn.over == ""


def test_a_minute_without_answers_is_a_gap() -> None:
    drawn = line("x", [span(4, 1), span(3, 1), span(2, 0), span(1, 1)], NOW, p95_of, [])
    assert [drawn.path.count(letter) for letter in "ML"] == [2, 1]
    # So is one in which the controller did not look.
    drawn = line("x", [span(9, 1), span(1, 1)], NOW, p95_of, [])
    assert [drawn.path.count(letter) for letter in "ML"] == [2, 0]


def test_rollouts_of_the_last_hour_are_marked() -> None:
    moments = [(NOW - 7200, "revision 1"), (NOW - 1800, "revision 2"), (NOW, "revision 3")]
    drawn = line("x", [], NOW, p95_of, moments)
    assert [(mark.x, mark.name) for mark in drawn.marks] == [(295.0, "revision 2"), (595.0, "revision 3")]
