"""Counters of proxies become numbers of services, in bounded memory and with bounded work."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.app.cluster import traffic
from reconciler.app.cluster.traffic import MOST_CONTAINERS, MOST_STACKS, Meter, Numbers
from reconciler.core.assess.observation import Container, Health, State
from reconciler.core.desired.stack import Role, Stack
from reconciler.core.routes.routed import Routed
from reconciler.core.traffic.tally import Count, Tally
from reconciler.engines.errors import EngineError
from reconciler.engines.instances import Usage
from tests.proxy.conftest import make_stack
from tests.web.kube.instances import instance

BEGIN = datetime(2026, 5, 1, 12, tzinfo=UTC)


@dataclass
class World:
    """Proxies that count what a test says, and a clock that it moves."""

    seconds: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
    uptime: float = 9999.0
    asked: list[list[str]] = field(default_factory=list)
    slots: dict[str, Sequence[int]] = field(default_factory=dict)
    containers: list[Any] = field(default_factory=list)
    measured: list[int] = field(default_factory=list)
    watched: bool = True
    changed: list[str] = field(default_factory=list)

    def counts(self, stacks: Sequence[tuple[Stack, Sequence[int]]]) -> Iterator[Count]:
        self.asked.append([stack.name for stack, _ in stacks])
        self.slots |= {stack.name: slots for stack, slots in stacks}
        for stack, _ in stacks:
            if stack.name in self.counters:
                yield Count(stack.name, stack.name, self.uptime, Tally(self.counters[stack.name]))

    def usage(self, ids: list[str]) -> Mapping[str, Usage]:
        self.measured.append(len(ids))
        now = BEGIN + timedelta(seconds=self.seconds)
        return {each: Usage(self.seconds * 0.5, 1 << 20, now) for each in ids}

    def meter(self) -> Meter:
        return Meter(
            self,
            lambda: [(Ref(VAULT_SERVICE, each.label), each) for each in self.containers],
            self.usage,
            lambda: BEGIN + timedelta(seconds=self.seconds),
            is_watched=lambda: self.watched,
            changed=lambda name, numbers: self.changed.append(name),
            clock=lambda: self.seconds,
        )


def see(meter: Meter, name: str, *, routed: bool = False, slots: Sequence[int] = (1,)) -> None:
    stack = replace(make_stack(Path("/none")), name=name, routed=Routed() if routed else None)
    containers = [
        Container(
            id=f"{name}{slot}", name=f"{name}{slot}", workload="haproxy", role=Role.PROXY, revision="r",
            state=State.RUNNING, health=Health.NONE, created=BEGIN, slot=slot,
        )
        for slot in slots
    ]  # fmt: skip
    observed = SimpleNamespace(containers=containers)
    preview = SimpleNamespace(stack=stack, assessment=SimpleNamespace(observed=observed))
    meter.saw(name, preview)  # type: ignore[arg-type]


def test_two_looks_make_a_rate() -> None:
    world = World(counters={"files": 1000})
    meter = world.meter()
    see(meter, "files", slots=(1, 2))
    meter.look()
    assert meter.numbers("files") == Numbers()
    world.seconds, world.counters["files"] = 10.0, 1050
    meter.look()
    last = meter.numbers("files").last
    assert last is not None
    assert last.rate == 5.0
    assert world.slots["files"] == (1, 2)
    assert world.changed == ["files", "files"]
    # A service that no proxy tells of any more has no number, instead of a wrong one.
    world.counters.clear()
    world.seconds = 100.0
    meter.look()
    assert meter.numbers("files").last is None
    assert meter.numbers("files").minutes


def test_a_proxy_that_was_replaced_counts_from_nothing() -> None:
    world = World(counters={"files": 1000})
    meter = world.meter()
    see(meter, "files")
    meter.look()
    world.seconds, world.counters["files"], world.uptime = 10.0, 30, 4.0
    meter._tallies["files"] = {"another process": Tally(1000)}
    meter.look()
    last = meter.numbers("files").last
    assert last is not None
    assert last.tally.requests == 30


def test_many_services_are_looked_at_in_turns() -> None:
    world = World(counters={f"s{number:03}": 1 for number in range(120)})
    meter = world.meter()
    for name in world.counters:
        see(meter, name)
    see(meter, "shared", routed=True)
    for turn in range(3):
        world.seconds = 10.0 * turn
        meter.look()
    assert [len(each) for each in world.asked] == [MOST_STACKS + 1] * 3
    assert {name for each in world.asked for name in each} == {*world.counters, "shared"}


def test_what_was_deleted_is_forgotten() -> None:
    world = World(counters={"files": 1, "wiki": 1})
    meter = world.meter()
    for name in world.counters:
        see(meter, name)
    for turn in range(2):
        world.seconds = 10.0 * turn
        meter.look()
    meter.forget_others(["wiki"])
    assert meter.numbers("files") == Numbers()
    assert meter.numbers("wiki").last is not None
    assert not any("files" in known for known in (meter._stacks, meter._hours, meter._tallies, meter._looked))


def test_containers_are_measured_only_while_a_page_is_open_and_not_too_many() -> None:
    world = World(watched=False)
    world.containers = [
        instance(f"s{number}-{copy}", label=f"s{number}") for number in range(40) for copy in range(4)
    ]
    world.containers.append(instance("stopped", label="s0", state=State.CREATED))
    meter = world.meter()
    meter.look()
    assert world.measured == []
    world.watched = True
    for turn in range(1, 6):
        world.seconds = 10.0 * turn
        meter.look()
    assert max(world.measured) <= MOST_CONTAINERS
    loads = [meter.numbers(f"s{number}").load for number in range(40)]
    assert all(load is not None and (load.cpu, load.memory) == (2.0, 4 << 20) for load in loads)
    # After a while without a page they are not known any more.
    world.seconds += traffic.STALE
    assert meter.numbers("s0").load is None


def test_containers_that_the_engine_cannot_measure_keep_no_others_from_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As those on other nodes of a Swarm."""
    world = World()
    world.containers = [
        instance(f"{name}-{copy}", label=name) for name in ("away", "here") for copy in range(MOST_CONTAINERS)
    ]
    here, measure = {each.id for each in world.containers if each.label == "here"}, world.usage
    meter = world.meter()
    monkeypatch.setattr(meter, "_usage", lambda ids: measure([each for each in ids if each in here]))
    for turn in range(1, 5):
        world.seconds = 10.0 * turn
        meter.look()
    assert meter.numbers("here").load is not None


def test_an_engine_that_is_away_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(counters={"files": 1}, containers=[instance()])
    meter = world.meter()
    see(meter, "files")

    def away(ids: list[str]) -> Mapping[str, Usage]:
        raise EngineError("the engine does not answer")

    monkeypatch.setattr(meter, "_usage", away)
    meter.look()
    assert world.changed == ["files"]


def test_it_goes_on_after_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "INTERVAL", 0.0)
    world, stop, looks = World(), threading.Event(), list[int]()
    meter = world.meter()

    def look() -> None:
        looks.append(1)
        if len(looks) == 2:
            stop.set()
        raise RuntimeError("a defect")

    monkeypatch.setattr(meter, "look", look)
    meter.keep_looking(stop, list)
    assert len(looks) == 2
