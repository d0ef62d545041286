from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.assess.history import FORGET_AFTER, LONGEST_DELAY, History

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def died(*seconds_ago: float) -> History:
    return History({"web": tuple(NOW - timedelta(seconds=ago) for ago in seconds_ago)})


@pytest.mark.parametrize(
    ("history", "wait"),
    [
        (History(), 0.0),
        (died(0), 0.0),
        (died(5, 0), 1.0),
        (died(5, 0.25), 0.75),
        (died(5, 1), 0.0),
        (died(9, 5, 0), 2.0),
        (died(30, 9, 5, 0), 4.0),
        (died(*range(20, -1, -1)), LONGEST_DELAY),
        (died(700, 650, 0), 0.0),
        # The clock was set back since.
        (died(1, -3595, -3600), 0.0),
    ],
)
def test_patience_doubles_with_every_death(history: History, wait: float) -> None:
    assert history.wait_before_replacing("web", 1, NOW) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("deaths", "wait"), [(1, 0.0), (3, 0.0), (4, 1.0), (6, 1.0), (7, 2.0), (12, 4.0), (100, LONGEST_DELAY)]
)
def test_each_of_several_replicas_may_die_once_before_patience_doubles(deaths: int, wait: float) -> None:
    assert died(*[0.0] * deaths).wait_before_replacing("web", 3, NOW) == wait


def test_other_workloads_do_not_count() -> None:
    assert died(2, 1, 0).wait_before_replacing("database", 1, NOW) == 0.0


def test_old_deaths_are_forgotten() -> None:
    ago = FORGET_AFTER.total_seconds()
    assert died(ago + 1, ago - 1).recent_deaths("web", NOW) == 1


@given(st.lists(st.floats(0, 1000), max_size=300))
def test_the_wait_has_bounds(ago: list[float]) -> None:
    assert 0.0 <= died(*sorted(ago, reverse=True)).wait_before_replacing("web", 1, NOW) <= LONGEST_DELAY
