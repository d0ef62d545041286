"""Calls side by side: in order of their items, all of them made, and the first error of them raised."""

from __future__ import annotations

from contextvars import ContextVar
from threading import Barrier, Event, get_ident

import pytest

from reconciler.threads import Abreast, one_by_one, side_by_side

PATIENCE = 20.0
BOTH = pytest.mark.parametrize("abreast", [side_by_side, one_by_one])


@BOTH
def test_answers_are_in_the_order_of_the_items(abreast: Abreast) -> None:
    assert abreast(str, [3, 1, 2]) == ["3", "1", "2"]
    assert abreast(str, []) == []


@BOTH
def test_every_call_is_made_and_the_first_error_is_raised(abreast: Abreast) -> None:
    made = []

    def call(item: int) -> None:
        made.append(item)
        if item > 1:
            raise ValueError(str(item))

    with pytest.raises(ValueError, match="2"):
        abreast(call, [1, 2, 3, 0])
    assert sorted(made) == [0, 1, 2, 3]


def test_a_call_that_waits_delays_no_other() -> None:
    others = Barrier(2)
    done = Event()

    def call(item: str) -> str:
        if item == "silent":
            assert done.wait(PATIENCE)
        else:
            others.wait(PATIENCE)
            done.set()
        return item

    assert side_by_side(call, ["silent", "a", "b"]) == ["silent", "a", "b"]


def test_no_more_threads_are_used_than_allowed() -> None:
    used = set(side_by_side(lambda _: get_ident(), range(50), at_once=3))
    assert len(used) <= 3
    assert get_ident() not in used


def test_a_single_call_needs_no_thread() -> None:
    assert side_by_side(lambda _: get_ident(), [1]) == [get_ident()]


def test_threads_belong_to_the_same_pass() -> None:
    current: ContextVar[str] = ContextVar("current", default="none")
    token = current.set("this pass")
    try:
        assert side_by_side(lambda _: current.get(), [1, 2]) == ["this pass", "this pass"]
    finally:
        current.reset(token)
