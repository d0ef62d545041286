"""An hour is kept by the minute, and no more than that."""

from __future__ import annotations

from reconciler.core.traffic.hour import MINUTES, Hour
from reconciler.core.traffic.tally import Tally

BEGIN = 1_800_000_000.0


def test_looks_of_one_minute_are_one_span() -> None:
    hour = Hour()
    for at in (10, 20, 59, 61):
        hour.add(BEGIN + at, 10.0, Tally(3, 1))
    assert [(each.begin - BEGIN, each.seconds, each.tally.requests) for each in hour.minutes(BEGIN + 61)] == [
        (0, 30.0, 9),
        (60, 10.0, 3),
    ]


def test_it_never_has_more_than_an_hour() -> None:
    hour = Hour()
    for at in range(0, 3 * 3600, 5):
        hour.add(BEGIN + at, 5.0, Tally(1))
    now = BEGIN + 3 * 3600
    assert len(hour.minutes(now)) == MINUTES
    assert min(each.begin for each in hour.minutes(now)) >= now - (MINUTES + 1) * 60
    assert len(hour._minutes) <= MINUTES + 1
    assert len(hour._recent) <= 13
    # What is too old is not shown, even if nothing came after it.
    assert hour.minutes(now + 7200) == ()
    assert hour.latest(now + 7200) is None


def test_the_latest_is_the_last_minute() -> None:
    hour = Hour()
    assert hour.latest(BEGIN) is None
    for at in range(10, 200, 10):
        hour.add(BEGIN + at, 10.0, Tally(at))
    latest = hour.latest(BEGIN + 190)
    assert latest is not None
    assert latest.seconds == 60.0
    assert latest.tally.requests == sum(range(140, 200, 10))
    assert latest.rate == latest.tally.requests / 60
