"""Which certificate serves a host, and which are ordered: no host loses one that clients accept."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from reconciler.certificates.certificate import Bundle, Certificate
from reconciler.certificates.choosing import Held, chosen, due, next_renewal, unused
from reconciler.certificates.errors import Why
from reconciler.certificates.renewal import Failure
from reconciler.certificates.wanted import Source, Want
from tests.certificates.authority import LIFE, START

DAY = timedelta(days=1)


def held(*names: str, source: Source = Source.ACME, begin: datetime = START, life: timedelta = LIFE) -> Held:
    mark = f"{sorted(names)} {begin} {source}"
    certificate = Certificate(frozenset(names), begin, begin + life, "CN=x", "1", (mark,))
    return Held(f"{source}-{mark}.pem", source, Bundle(certificate, "", ""))


def want(*names: str, source: Source = Source.ACME) -> Want:
    return Want(source, names, "s.0")


def failure(days: float) -> Failure:
    return Failure(1, Why.NOT_CHECKED, "no", START, START + DAY * days)


def test_the_newest_of_the_wanted_source_serves() -> None:
    old, new = held("a.org"), held("a.org", begin=START + DAY)
    own = held("a.org", source=Source.SELF_SIGNED, begin=START + DAY * 2)
    wild = held("*.org", begin=START + DAY * 3)
    now = START + DAY * 5
    assert chosen([want("a.org")], [old, new, own], now) == {"a.org": new}
    assert chosen([want("a.org")], [old, wild], now) == {"a.org": wild}
    assert chosen([want("a.org", source=Source.SELF_SIGNED)], [old, new, own], now) == {"a.org": own}
    assert chosen([want("a.org")], [own], now) == {"a.org": own}
    assert chosen([want("b.org")], [own], now) == {}


def test_a_valid_one_serves_rather_than_the_wanted_source_that_has_ended() -> None:
    ended, own = held("a.org", life=DAY), held("a.org", source=Source.SELF_SIGNED)
    assert chosen([want("a.org")], [ended, own], START + DAY * 2) == {"a.org": own}
    assert chosen([want("a.org")], [ended], START + DAY * 2) == {"a.org": ended}


def test_what_is_missing_or_due_is_ordered_as_a_whole() -> None:
    both = [want("a.org", "b.org")]
    assert list(due(both, [], {}, (), (), START)) == [("a.org", "b.org")]
    assert list(due(both, [held("a.org", "b.org")], {}, (), (), START + DAY * 55)) == []
    assert list(due(both, [held("a.org", "b.org")], {}, (), (), START + DAY * 65)) == [("a.org", "b.org")]
    assert list(due(both, [held("a.org")], {}, (), (), START)) == [("a.org", "b.org")]
    assert list(due(both, [held("a.org", "b.org")], {}, (), ("b.org",), START)) == [("a.org", "b.org")]
    assert list(due([want("a.test", source=Source.SELF_SIGNED)], [], {}, (), (), START)) == []


def test_a_name_that_failed_is_ordered_alone_and_later() -> None:
    three = [want("a.org", "b.org", "c.org")]
    assert list(due(three, [], {"b.org": failure(1)}, (), (), START)) == [("a.org", "c.org")]
    rest = [held("a.org", "c.org")]
    assert list(due(three, rest, {"b.org": failure(1)}, (), (), START)) == []
    assert list(due(three, rest, {"b.org": failure(1)}, (), (), START + DAY)) == [("b.org",)]


def test_what_is_ordered_already_is_not_ordered_again() -> None:
    assert list(due([want("a.org", "b.org")], [], {}, ("a.org", "b.org"), (), START)) == []


NAMES = st.sampled_from(["a.org", "b.org", "c.org", "*.org"])
HELD = st.builds(
    lambda names, source, begin, life: held(
        *names, source=source, begin=START + DAY * begin, life=DAY * life
    ),
    st.lists(NAMES, min_size=1, unique=True),
    st.sampled_from([Source.ACME, Source.FILES, Source.SELF_SIGNED]),
    st.integers(-100, 10),
    st.integers(1, 100),
)
WANTS = st.lists(
    st.builds(
        lambda names, source: want(*sorted(names), source=source),
        st.lists(NAMES, min_size=1, unique=True),
        st.sampled_from([Source.ACME, Source.SELF_SIGNED, Source.FILES]),
    ),
    max_size=3,
)
FAILURES = st.dictionaries(NAMES, st.integers(-5, 5).map(failure))


@given(WANTS, st.lists(HELD, max_size=6))
def test_a_valid_certificate_is_never_taken_away(wants: list[Want], there: list[Held]) -> None:
    serving = chosen(wants, there, START)
    for each in wants:
        for host in each.names:
            valid = [c for c in there if c.bundle.certificate.covers(host) and c.is_valid(START)]
            assert not valid or serving[host].is_valid(START)
    gone = {each.file for each in unused(wants, there, START)}
    assert gone.isdisjoint({each.file for each in serving.values()})
    left = [each for each in there if each.file not in gone]
    assert chosen(wants, left, START) == serving


@given(WANTS, st.lists(HELD, max_size=6), FAILURES, st.lists(NAMES, unique=True))
def test_orders_are_disjoint_and_hold_no_name_that_waits(
    wants: list[Want], there: list[Held], failures: dict[str, Failure], ordered: list[str]
) -> None:
    for each in wants:
        sets = list(due([each], there, failures, ordered, (), START))
        names = [name for names in sets for name in names]
        assert len(names) == len(set(names))
        assert set(names) <= set(each.names)
        assert not set(names) & set(ordered)
        waiting = {name for name, each in failures.items() if each.next_at > START}
        assert not set(names) & waiting
        assert all(len(set(names) & set(failures)) == 0 or len(names) == 1 for names in sets)


@given(WANTS, st.lists(HELD, max_size=6))
def test_what_is_not_due_now_is_due_at_the_next_renewal(wants: list[Want], there: list[Held]) -> None:
    # One that is not valid yet may be better by then.
    there = [each for each in there if each.bundle.certificate.not_before <= START]
    moment = next_renewal(wants, there, START)
    if moment is not None:
        assert moment > START
        assert list(due(wants, there, {}, (), (), moment))
