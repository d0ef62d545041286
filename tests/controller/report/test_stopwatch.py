"""Durations are read off successive looks; what was under way before the first look is not timed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from metrics.recorder import Recorder
from reconciler.controller.report.stopwatch import Stopwatch
from reconciler.core.assess.health import Replica
from reconciler.core.assess.instance import Phase
from reconciler.core.assess.observation import Container, Health, State
from reconciler.core.assess.pool import Member
from reconciler.core.desired.stack import Role, Workload

START = datetime(2026, 1, 1, tzinfo=UTC)
ADDRESS = "10.0.0.1:8000"
WEB = Workload("web", Role.WEB, 1, "image", "r", frozenset({"r"}), frozenset())
CONTAINER = Container("c" * 64, "web-1", "web", Role.WEB, "r", State.RUNNING, Health.HEALTHY, START)

Sums = dict[str, tuple[float, float]]


def member(*, up: bool = True, draining: bool = False) -> Member:
    return Member(
        "c", frozenset({ADDRESS}), not draining, up and not draining, up and not draining, draining, 0, 0.0
    )


def replica(phase: Phase, pool: Member | None = None) -> Replica:
    return Replica(
        container=CONTAINER,
        workload=WEB,
        phase=phase,
        current=True,
        member=pool,
        address=ADDRESS,
        in_pool=pool is not None and pool.enabled,
        taking_traffic=pool is not None and pool.up,
    )


LIFE = [
    (0, replica(Phase.CREATED)),
    (1, replica(Phase.WARMING)),
    (3, replica(Phase.READY)),
    (6, replica(Phase.READY, member())),
    (20, replica(Phase.READY, member(draining=True))),
    (25, replica(Phase.STOPPING, member(draining=True))),
    (32, None),
]


def timed(recorder: Recorder) -> Sums:
    """Sum and count of every phase that was timed."""
    found: dict[str, list[float]] = {}
    for family in recorder.collect():
        for sample in family.samples:
            what = sample.labels.get("phase", family.name)
            if family.name.startswith(("vault_rollout_phase", "vault_drain", "vault_converge")):
                for suffix in ("_sum", "_count"):
                    if sample.name.endswith(suffix):
                        found.setdefault(what, []).append(sample.value)
    return {what: (total, count) for what, (count, total) in found.items() if count}


def watch(looks: list[tuple[int, Replica | None]], *, first: bool = True) -> Sums:
    recorder = Recorder()
    watch = Stopwatch(recorder)
    if first:
        watch.saw("files", [], settled=True, now=START - timedelta(seconds=1))
    for second, seen in looks:
        watch.saw("files", [seen] if seen else [], settled=True, now=START + timedelta(seconds=second))
    return timed(recorder)


def test_every_phase_of_a_life_is_timed_once() -> None:
    assert watch(LIFE) == {
        "create": (1, 1),
        "warm": (2, 1),
        "join": (3, 1),
        "vault_drain_seconds": (5, 1),
        "stop": (7, 1),
    }


def test_looking_more_often_changes_nothing() -> None:
    twice = [(second, seen) for second, seen in LIFE for _ in range(2)]
    assert watch(twice) == watch(LIFE)


@pytest.mark.parametrize("begin", range(1, len(LIFE)))
def test_a_phase_that_was_under_way_at_the_first_look_is_not_timed(begin: int) -> None:
    assert all(count == 1 for _, count in watch(LIFE[begin:], first=False).values())
    assert len(watch(LIFE[begin:], first=False)) < len(watch(LIFE[begin - 1 :]))


def test_from_the_first_unrest_to_rest_is_one_change() -> None:
    recorder = Recorder()
    watch = Stopwatch(recorder)
    for second, settled in [(0, True), (2, False), (5, False), (9, True), (30, True)]:
        watch.saw("files", [], settled=settled, now=START + timedelta(seconds=second))
    assert timed(recorder) == {"vault_converge_seconds": (7, 1)}


def test_services_do_not_disturb_each_other_and_one_that_is_gone_starts_anew() -> None:
    recorder = Recorder()
    watch = Stopwatch(recorder)
    watch.saw("files", [], settled=False, now=START)
    watch.saw("wiki", [], settled=True, now=START)
    watch.forget("files")
    watch.saw("files", [], settled=True, now=START + timedelta(seconds=9))
    assert timed(recorder) == {}
