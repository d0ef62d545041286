"""A row decides whether its goal is kept."""

from __future__ import annotations

import json

import pytest

from benchmarks.harness.row import BARE, SECONDS, Goal, Row, amount, from_json, spread, to_json


def row(ours: tuple[float, ...], theirs: tuple[float, ...] = (), goal: Goal | None = None) -> Row:
    return Row("what", SECONDS, ours, "limit", "them", theirs, goal)


@pytest.mark.parametrize(
    ("ours", "theirs", "goal", "holds"),
    [
        ((1.0,), (), None, None),
        ((1.0, 2.0, 9.0), (), Goal(at_most=2.0), True),
        ((1.0, 2.1, 9.0), (), Goal(at_most=2.0), False),
        ((0.0,), (5.0,), Goal(at_most=0), True),
        ((1.0,), (), Goal(at_most=0), False),
        ((1.0,), (20.0,), Goal(ratio_at_most=0.05), True),
        ((1.0,), (19.0,), Goal(ratio_at_most=0.05), False),
        ((99.0,), (100.0,), Goal(ratio_at_least=0.99), True),
        ((98.0,), (100.0,), Goal(ratio_at_least=0.99), False),
        ((1.0,), (), Goal(ratio_at_most=0.05), None),
        ((3.0,), (1.0,), Goal(at_most=2.0, ratio_at_most=9.0), False),
        ((3.0,), (1.0,), Goal(at_most=4.0, ratio_at_most=2.0), False),
        ((), (1.0,), Goal(at_most=4.0), None),
    ],
)
def test_a_goal_holds_or_not(
    ours: tuple[float, ...], theirs: tuple[float, ...], goal: Goal | None, holds: bool | None
) -> None:
    assert row(ours, theirs, goal).holds is holds


def test_ratios_are_of_the_same_round() -> None:
    assert row((1.0, 4.0), (2.0, 2.0)).ratios == (0.5, 2.0)
    assert row((1.0, 3.0), (4.0,)).ratios == (0.5,), "unequal numbers of rounds leave the medians"
    assert row((1.0,), (0.0,)).ratios == (), "nothing is a multiple of nothing"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00012, SECONDS, "0.12 ms"),
        (0.0123, SECONDS, "12.3 ms"),
        (0.456, SECONDS, "456 ms"),
        (0.9998, SECONDS, "1.00 s"),
        (3.456, SECONDS, "3.46 s"),
        (0.31, "%", "0.31 %"),
        (65.43, "MB", "65.4 MB"),
        (0.0, BARE, "0"),
        (3452.0, BARE, "3,452"),
    ],
)
def test_amounts_have_the_digits_that_anybody_can_use(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


def test_a_spread_names_the_extremes_when_they_differ() -> None:
    assert spread((2.0, 1.0, 3.0), SECONDS) == "2.00 s (1.00 s – 3.00 s)"
    assert spread((0.0, 0.0), BARE) == "0"
    assert spread((), SECONDS) == "–"


def test_a_row_comes_back_from_json_as_it_was() -> None:
    there = row((1.0, 2.0), (3.0, 4.0), Goal(at_most=1.0, ratio_at_most=0.5))
    assert from_json(json.loads(json.dumps(to_json(there)))) == there
    assert from_json(to_json(row((1.0,)))) == row((1.0,))
