"""Times of a Swarm whose nodes have other clocks than the controller."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.engines.swarm.moments import Moments

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize("off", [-HOUR, HOUR])
def test_what_is_seen_to_happen_has_the_time_of_the_controller(off: timedelta) -> None:
    clock = Clock()
    moments = Moments(clock)
    with moments.look("shop"):
        pass
    clock.now += SECOND
    with moments.look("shop") as when:
        assert when.happened("s1", clock.now + off) == NOW + SECOND
        assert when.started("t1", clock.now + off) == NOW + SECOND
    clock.now += SECOND
    with moments.look("shop") as when:
        assert when.started("t1", clock.now + off) == NOW + SECOND, "it is no other start"
    with moments.look("shop") as when:
        assert when.happened("s1", clock.now + off) == NOW + 2 * SECOND, "it was gone meanwhile"


def test_what_happened_before_the_first_look_keeps_its_time_unless_that_is_still_to_come() -> None:
    moments = Moments(Clock())
    with moments.look("shop") as when:
        assert when.happened("old", NOW - HOUR) == NOW - HOUR
        assert when.happened("ahead", NOW + HOUR) == NOW
        assert when.started("task", NOW - HOUR) == NOW, "it has its whole time to become ready"
    with moments.look("other") as when:
        assert when.happened("old", NOW - HOUR) == NOW - HOUR


def test_a_look_that_fails_forgets_nothing() -> None:
    clock = Clock()
    moments = Moments(clock)
    with moments.look("shop") as when:
        when.started("task", NOW)
    clock.now += HOUR

    def fail() -> None:
        with moments.look("shop"):
            raise ValueError("a row was not understood")

    with pytest.raises(ValueError, match="a row"):
        fail()
    with moments.look("shop") as when:
        assert when.started("task", NOW) == NOW
