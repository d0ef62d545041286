"""A short campaign against every way in, in every run; `make fuzz` is the long one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import campaign
from tests.fuzz.campaign import MAX_GROWTH, attack
from tests.fuzz.kubernetes import end
from tests.fuzz.mutate import mutate_data, mutate_text
from tests.fuzz.targets import TARGETS

INPUTS = 700


@pytest.mark.parametrize("target", TARGETS)
def test_bad_input_is_refused_in_a_sentence(target: str) -> None:
    report = attack(target, 0, INPUTS)
    assert not report.finds, "\n".join(map(str, report.finds))
    assert report.inputs == INPUTS
    assert report.grown < MAX_GROWTH


def spin(_: Random, __: Path) -> None:
    while True:
        pass


def wait(_: Random, __: Path) -> None:
    threading.Event().wait()


@pytest.mark.parametrize(("hang", "limit"), [(spin, "PROCESSOR_SECONDS"), (wait, "DEADLINE")])
def test_an_input_without_an_end_is_a_find(
    hang: Callable[[Random, Path], None], limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TARGETS, "hangs", hang)
    monkeypatch.setattr(campaign, limit, 0.05)
    (find,) = attack("hangs", 7, 1).finds
    assert find.seed == 7
    assert "HungError: no end after 0.05 s" in find.story


@pytest.mark.parametrize("target", TARGETS)
def test_hypothesis_finds_no_smaller_one(target: str, tmp_path: Path) -> None:
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False))
    def feed(random: Random) -> None:
        TARGETS[target](random, tmp_path)

    try:
        feed()
    finally:
        end(tmp_path)


def test_a_defect_is_found_and_its_seed_finds_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(random: Random, _: Path) -> None:
        assert "$" not in mutate_text("a b", random, ["x"])

    monkeypatch.setitem(TARGETS, "fragile", fragile)
    finds = attack("fragile", 0, 500).finds
    assert finds
    assert attack("fragile", finds[0].seed, 1).finds[0].seed == finds[0].seed


def test_mutations_repeat_from_their_seed_and_leave_the_seed_alone() -> None:
    data = {"a": ["x", {"b": 1}]}
    once, again = (mutate_data(data, Random(7), ["k"]) for _ in range(2))
    assert repr(once) == repr(again)
    assert data == {"a": ["x", {"b": 1}]}
