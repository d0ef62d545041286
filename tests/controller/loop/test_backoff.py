from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from reconciler.controller.loop.backoff import BASE_SECONDS, CAP_SECONDS, JITTER, Backoff


def test_it_doubles_up_to_a_cap() -> None:
    backoff = Backoff(random.Random(1), base=1, cap=10, jitter=0)
    assert [backoff.next("a") for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    assert backoff.failures("a") == 6


def test_keys_do_not_know_each_other_and_success_is_forgotten() -> None:
    backoff = Backoff(random.Random(1), base=1, jitter=0)
    backoff.next("a")
    assert backoff.next("b") == 1
    backoff.forget("a")
    backoff.forget("never seen")
    assert (backoff.failures("a"), backoff.failures("b")) == (0, 1)
    assert backoff.next("a") == 1


def test_keys_do_not_march_in_step() -> None:
    backoff = Backoff(random.Random(1))
    assert len({backoff.next(str(key)) for key in range(50)}) == 50


@given(st.integers(1, 3000), st.integers())
def test_no_number_of_failures_is_too_much(failures: int, seed: int) -> None:
    backoff = Backoff(random.Random(seed))
    for _ in range(failures):
        delay = backoff.next("a")
    assert BASE_SECONDS * (1 - JITTER) <= delay <= CAP_SECONDS * (1 + JITTER)
