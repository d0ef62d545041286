"""When a certificate is renewed, and when a name that failed is tried again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from reconciler.certificates.certificate import Certificate
from reconciler.certificates.errors import Why
from reconciler.certificates.renewal import (
    AWAY_DELAYS,
    LATEST,
    LONGEST_DELAY,
    Failure,
    Window,
    failed_again,
    renewal_time,
    spread,
)

START = datetime(2026, 5, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
LIVES = st.timedeltas(timedelta(minutes=5), timedelta(days=400))
FINGERPRINTS = st.text("0123456789abcdef", min_size=64, max_size=64)


def certificate(life: timedelta, fingerprint: str = "ab" * 32) -> Certificate:
    return Certificate(frozenset({"a.org"}), START, START + life, "CN=x", "1", (fingerprint,))


@given(LIVES, FINGERPRINTS)
def test_it_is_renewed_around_two_thirds_of_its_life(life: timedelta, fingerprint: str) -> None:
    each = certificate(life, fingerprint)
    share = (renewal_time(each) - START) / life
    assert 0.63 < share < 0.70
    assert renewal_time(each) == renewal_time(replace(each))


def test_renewals_are_spread() -> None:
    life = timedelta(days=90)
    moments = [renewal_time(certificate(life, f"{number:064x}")) for number in range(200)]
    assert max(moments) - min(moments) > timedelta(days=4)
    assert len({moment.date() for moment in moments}) >= 5


@given(LIVES, FINGERPRINTS, MOMENTS, MOMENTS)
def test_the_window_of_the_server_counts_but_never_the_end(
    life: timedelta, fingerprint: str, start: datetime, end: datetime
) -> None:
    each = certificate(life, fingerprint)
    moment = renewal_time(each, Window(start, end))
    if end < start:
        assert moment == renewal_time(each)
    else:
        earliest, latest = START + min(life / 10, timedelta(days=1)), START + life * LATEST
        assert earliest <= moment <= latest
        assert moment in (earliest, latest) or start <= moment <= end


@given(st.integers(1, 12), st.one_of(st.none(), st.floats(0, 1e9)))
def test_each_failure_waits_longer_and_as_long_as_the_server_says(count: int, delay: float | None) -> None:
    def again(former: Failure | None, _: int) -> Failure:
        return failed_again("a.org", former, Why.NOT_CHECKED, "no", START, delay)

    last = reduce(again, range(count), None)
    assert last is not None
    assert last.count == count
    waited = (last.next_at - START).total_seconds()
    # A moment has whole microseconds.
    assert waited >= min(delay or 0.0, LONGEST_DELAY) - 1e-6
    assert waited <= max(24 * 3600 * 1.25, min(delay or 0.0, LONGEST_DELAY)) + 1e-6


def test_fewer_checks_than_let_s_encrypt_counts() -> None:
    """Five failed checks of a name in an hour are its limit."""
    now, failure, tries = START, None, 0
    while now < START + timedelta(hours=1):
        failure, tries = failed_again("a.org", failure, Why.NOT_CHECKED, "no", now), tries + 1
        now = failure.next_at
    assert tries <= 4


def test_a_server_that_is_away_for_a_minute_is_asked_again_soon() -> None:
    now, failure = START, None
    while now < START + timedelta(minutes=1):
        failure = failed_again("server", failure, Why.ACME_AWAY, "away", now, delays=AWAY_DELAYS)
        now = failure.next_at
    assert now < START + timedelta(minutes=2, seconds=30)


@given(st.text())
def test_a_spread_is_a_part(text: str) -> None:
    assert 0 <= spread(text) < 1
