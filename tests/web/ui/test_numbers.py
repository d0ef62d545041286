"""Numbers as people read them: short, never 0 for what is not, and quiet while they look the same."""

from __future__ import annotations

from reconciler.app.cluster.traffic import Load, Numbers
from reconciler.core.traffic.hour import Span
from reconciler.core.traffic.tally import Tally
from reconciler.web.ui.numbers import Changes, Texts, memory, milliseconds, percent, rate, texts_of


def test_numbers_are_short() -> None:
    assert [rate(each) for each in (0.0, 0.01, 0.05, 12.34, 1234.5)] == ["0.0", "<0.1", "0.1", "12.3", "1234"]
    assert [percent(each) for each in (0.0, 0.0001, 0.004, 1.0)] == ["0 %", "<0.1 %", "0.4 %", "100.0 %"]
    assert [milliseconds(each) for each in (None, 0.4, 999.0, 2500.0)] == ["", "0 ms", "999 ms", "2.5 s"]
    assert [memory(each) for each in (0, 1023, 1024, 5 << 20, 3 << 40)] == [
        "0 B",
        "1023 B",
        "1 KiB",
        "5 MiB",
        "3 TiB",
    ]


def test_what_is_not_known_is_not_shown_as_zero() -> None:
    assert texts_of(Numbers()) == Texts()
    idle = texts_of(Numbers(Span(0.0, 60.0, Tally())))
    assert (idle.rate, idle.errors, idle.p95, idle.fails) == ("0.0", "", "", False)
    loaded = texts_of(Numbers(load=Load(0.5, 1 << 30)))
    assert (loaded.cpu, loaded.memory, loaded.rate) == ("0.50", "1 GiB", "")


def test_one_that_fails_is_marked() -> None:
    assert texts_of(Numbers(Span(0.0, 60.0, Tally(100, 1)))).fails
    assert not texts_of(Numbers(Span(0.0, 60.0, Tally(1000, 1)))).fails


def test_only_what_looks_different_wakes_a_page() -> None:
    told: list[str] = []
    changes = Changes(told.append)
    idle, busy = Span(0.0, 60.0, Tally()), Span(0.0, 60.0, Tally(600))
    changes.saw("a", Numbers(idle, (idle,)))
    changes.saw("a", Numbers(idle, (idle, Span(60.0, 10.0, Tally()))))
    assert told == ["a"]
    changes.saw("a", Numbers(busy, (busy,)))
    changes.saw("a", Numbers(busy, (busy,)))
    assert told == ["a", "a"]
    # Its curves move on.
    changes.saw("a", Numbers(busy, (busy, Span(60.0, 60.0, Tally(600)))))
    assert told == ["a"] * 3
