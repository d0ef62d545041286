"""A service sleeps when it has no requests, and requests wake it; over a world in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from metrics import catalog
from reconciler.api import VaultService, find_condition
from reconciler.controller.report.verdict import Verdict, summarize
from reconciler.core.desired.stack import Role, Stack
from reconciler.store.base import StoredObject
from tests.controller.worlds import MemoryWorld
from tests.simulation.services import NAME, build_stack

AFTER = 60.0


class SleepyWorld(MemoryWorld):
    """Every service of it may sleep."""

    def build(self, service: VaultService) -> Stack:
        stack = build_stack(service)
        return replace(stack, idle=None if stack.is_stopped else AFTER)

    @property
    def project(self) -> str:
        return f"vault-{NAME}"

    def stored(self) -> StoredObject[Any]:
        found = self.objects.get(NAME)
        assert found is not None
        return found

    def ready(self) -> tuple[str, str, str]:
        found = find_condition(self.objects.status(NAME).conditions, "Ready")
        assert found is not None
        return found.status, found.reason, found.message

    def ask(self) -> None:
        """A request that takes no time, or waits."""
        stack = self.build(self.stored().resource)
        (process,) = self.proxy.processes(stack).values()
        if not self.proxy.request(stack, process.container, 0.0, lambda names: names[0]):
            self.proxy.activity.waits(self.project)

    def value(self, metric: str) -> float:
        samples = (s for family in self.recorder.collect() for s in family.samples)
        return sum(sample.value for sample in samples if sample.name == metric)


@pytest.fixture
def sleepy() -> SleepyWorld:
    made = SleepyWorld()
    made.wish(plugin="stateful", replicas=2, drain=1.0)
    made.converge()
    return made


def fall_asleep(world: SleepyWorld) -> None:
    world.time += AFTER
    world.converge()
    assert not world.web()


def test_it_sleeps_after_its_time_and_not_before(sleepy: SleepyWorld) -> None:
    sleepy.ask()
    result = sleepy.once()
    assert result.requeue_after == pytest.approx(AFTER)
    sleepy.time += AFTER - 1
    assert sleepy.once().did == ""
    assert len(sleepy.web()) == 2
    sleepy.time += 1
    sleepy.converge()
    assert not sleepy.web()
    assert {c.workload for c in sleepy.machine.containers.values() if c.is_up} >= {"database", "worker"}
    status, reason, message = sleepy.ready()
    assert (status, reason) == ("True", "Idle")
    assert message.startswith("asleep since 2026-05-01T")
    stored = sleepy.stored()
    assert summarize(stored, sleepy.objects.status(NAME)).verdict is Verdict.READY
    counts = sleepy.objects.status(NAME).replicas
    assert (counts.desired, counts.current, counts.serving) == (0, 0, 0)
    # And it says so all night, in the same words.
    sleepy.time += 3600
    assert (sleepy.once().did, sleepy.ready()) == ("", (status, reason, message))


def test_a_request_wakes_it_and_it_sleeps_again(sleepy: SleepyWorld) -> None:
    revisions = len(sleepy.records.revisions(NAME))
    for wakes in (1, 2):
        fall_asleep(sleepy)
        sleepy.ask()
        assert "(woken" in sleepy.once().did
        sleepy.time += 2.5
        sleepy.converge()
        sleepy.proxy.activity.gave_up(sleepy.project)
        assert sleepy.ready()[:2] == ("True", "Serving")
        assert sleepy.value("vault_wakes_total") == wakes
        assert sleepy.value("vault_wake_duration_seconds_count") == wakes
    assert len(sleepy.records.revisions(NAME)) == revisions, "a sleep is no rollout"


def test_a_client_that_leaves_does_not_end_the_boot(sleepy: SleepyWorld) -> None:
    fall_asleep(sleepy)
    sleepy.ask()
    sleepy.once()
    sleepy.proxy.activity.gave_up(sleepy.project)
    sleepy.converge()
    assert len(sleepy.web()) == 2


def test_an_open_session_keeps_it_awake_and_its_end_counts(sleepy: SleepyWorld) -> None:
    stack = sleepy.build(sleepy.stored().resource)
    (process,) = sleepy.proxy.processes(stack).values()
    assert sleepy.proxy.request(stack, process.container, 500.0, lambda names: names[0])
    for _ in range(8):
        sleepy.time += AFTER
        assert sleepy.once().did == ""
    sleepy.time = sleepy.time - 480 + 500 + AFTER - 1
    assert sleepy.once().did == ""
    sleepy.time += 1
    sleepy.converge()
    assert not sleepy.web()


def test_a_proxy_that_forgot_neither_wakes_nor_stops_anything(sleepy: SleepyWorld) -> None:
    sleepy.time += AFTER - 1
    haproxy = next(c for c in sleepy.machine.containers.values() if c.role is Role.PROXY)
    sleepy.machine.kill(haproxy, by_hand=False)
    sleepy.converge()
    sleepy.time += 10
    sleepy.converge()
    assert len(sleepy.web()) == 2, "its time begins again"
    fall_asleep(sleepy)
    haproxy = next(c for c in sleepy.machine.containers.values() if c.role is Role.PROXY)
    sleepy.machine.kill(haproxy, by_hand=False)
    sleepy.converge()
    assert not sleepy.web(), "what sleeps goes on sleeping"


def test_a_new_revision_is_verified_and_then_sleeps(sleepy: SleepyWorld) -> None:
    fall_asleep(sleepy)
    sleepy.wish(plugin="stateful", replicas=2, version="2", drain=1.0)
    sleepy.once()
    while sleepy.ready()[1] != "Serving":
        sleepy.time += 0.5
        sleepy.once()
    wanted = sleepy.build(sleepy.stored().resource)
    assert {c.revision for c in sleepy.web()} == {w.revision for w in wanted.web}
    sleepy.converge()
    while sleepy.web():
        sleepy.time += 0.5
        sleepy.once()
    sleepy.converge()
    assert sleepy.ready()[1] == "Idle"
    assert [r.result for r in sleepy.records.revisions(NAME)] == ["Complete", "Complete"]


def test_a_bad_revision_is_found_without_a_user(sleepy: SleepyWorld) -> None:
    fall_asleep(sleepy)
    bad = sleepy.wish(plugin="stateful", replicas=2, version="never-ready", drain=1.0)
    for _ in range(1000):
        sleepy.time += 0.5
        sleepy.once()
        if sleepy.is_rejected(bad):
            break
    assert sleepy.is_rejected(bad)
    sleepy.converge()
    assert not sleepy.web(), "the good one sleeps again"
    sleepy.ask()
    sleepy.converge()
    assert len(sleepy.web()) == 2


def test_a_stop_and_a_start_of_what_sleeps(sleepy: SleepyWorld) -> None:
    fall_asleep(sleepy)
    sleepy.wish(plugin="stateful", replicas=0, drain=1.0)
    sleepy.converge()
    assert sleepy.ready()[1] == "Stopped"
    sleepy.wish(plugin="stateful", replicas=1, drain=1.0)
    sleepy.converge()
    assert sleepy.ready()[1] == "Idle"


def test_the_gauge_says_who_sleeps(sleepy: SleepyWorld) -> None:
    assert [each.asleep for each in sleepy.world.board.snapshots()] == [False]
    fall_asleep(sleepy)
    assert [each.asleep for each in sleepy.world.board.snapshots()] == [True]
    assert catalog.ASLEEP.per_service
