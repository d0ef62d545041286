"""Counters become differences, and classes of times become quantiles."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.traffic.tally import BOUNDS, NONE, Count, Tally, between

CLASSES = len(BOUNDS) + 1


def tally(requests: int, errors: int = 0, **classes: int) -> Tally:
    times = tuple(classes.get(f"c{index}", 0) for index in range(CLASSES))
    return Tally(requests, errors, times)


def count(source: str, requests: int, uptime: float = 1000.0, service: str = "files") -> Count:
    return Count(service, source, uptime, tally(requests))


@pytest.mark.parametrize(
    ("before", "counts", "elapsed", "asked"),
    [
        ({}, [count("a", 7)], None, 0),
        ({}, [count("a", 7)], 10.0, 0),
        # It was started since the last look, and has counted nothing that is known already.
        ({}, [count("a", 7, uptime=9.0)], 10.0, 7),
        ({"a": tally(5)}, [count("a", 7)], 10.0, 2),
        ({"a": tally(5), "gone": tally(9)}, [count("a", 7), count("b", 3, uptime=2.0)], 10.0, 5),
        # A counter that has begun again is not negative traffic.
        ({"a": tally(5)}, [count("a", 2)], 10.0, 0),
    ],
)
def test_what_was_asked_is_the_difference_of_two_looks(
    before: dict[str, Tally], counts: list[Count], elapsed: float | None, asked: int
) -> None:
    assert between(before, counts, elapsed)["files"].requests == asked


def test_services_are_counted_apart() -> None:
    found = between({}, [count("a", 2, 1.0), count("b", 3, 1.0, "wiki"), count("c", 4, 1.0)], 10.0)
    assert {name: each.requests for name, each in found.items()} == {"files": 6, "wiki": 3}


@given(st.lists(st.integers(0, 12_000), min_size=1, max_size=300), st.floats(0.01, 1))
def test_a_quantile_is_in_the_class_of_the_true_one(times: list[int], part: float) -> None:
    classes = [0] * CLASSES
    for each in times:
        classes[next((index for index, bound in enumerate(BOUNDS) if each <= bound), CLASSES - 1)] += 1
    found = Tally(len(times), 0, tuple(classes)).quantile(part)
    assert found is not None
    wanted = part * len(times)
    true = next(value for rank, value in enumerate(sorted(times), 1) if rank >= wanted - 1e-9)
    high = next((bound for bound in BOUNDS if true <= bound), BOUNDS[-1])
    low = max((bound for bound in (0, *BOUNDS) if bound < true), default=0)
    assert low <= found <= high


def test_nothing_has_no_quantile_and_no_share_of_errors() -> None:
    assert NONE.quantile(0.95) is None
    assert NONE.error_share is None
    assert tally(8, 2).error_share == 0.25


def test_tallies_add_up() -> None:
    parts = [tally(random.Random(seed).randrange(99), 1, c2=seed) for seed in range(5)]
    whole = sum(parts, NONE)
    assert whole.requests == sum(each.requests for each in parts)
    assert (whole.errors, whole.times[2]) == (5, 10)
    assert whole.since(parts[0]) == sum(parts[1:], NONE)
    assert parts[0].since(whole) is None
