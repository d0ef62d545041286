"""Who acts, on clocks that the test sets: at no time two controllers, whatever stops, is cut off or comes back."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from reconciler.api import PermanentError, TemporaryError
from reconciler.controller.loop.election import (
    ACT_SECONDS,
    LEASE_SECONDS,
    PATIENCE_SECONDS,
    Election,
    StandbyError,
)
from reconciler.controller.loop.entry import StateEntry
from reconciler.engines.errors import EngineError
from reconciler.engines.lease import Lease

HOUR = 3600.0


@dataclass
class Time:
    """Seconds since the test began."""

    now: float = 0.0


@dataclass
class Swarm:
    """A lease that all controllers share; those in `cut` are without a majority."""

    time: Time
    lease: Lease | None = None
    versions: int = 0
    cut: set[str] = field(default_factory=set)
    was_led: bool = True


@dataclass
class Record:
    """The lease as one controller reaches it. A write that is `lost` is done, and its answer does not come."""

    swarm: Swarm
    name: str
    seconds: float = 0.0
    lost: bool = False

    def read(self) -> Lease | None:
        self._wait()
        return self.swarm.lease

    def is_first(self) -> bool:
        self._wait()
        was_led, self.swarm.was_led = self.swarm.was_led, True
        return not was_led

    def write(self, before: Lease | None, holder: str, node: str, term: int) -> bool:
        self._wait()
        if self.swarm.lease != before:
            return False
        self.swarm.versions += 1
        self.swarm.lease = Lease(self.swarm.versions, holder, node, term)
        if self.lost:
            raise EngineError("the answer did not come")
        return True

    def _wait(self) -> None:
        self.swarm.time.now += self.seconds
        if self.name in self.swarm.cut:
            raise EngineError("the Swarm has no leader")


@dataclass
class Ticket:
    name: str
    is_open: bool = True
    problem: str = ""

    def enter(self) -> tuple[str, str]:
        if self.problem:
            raise PermanentError(self.problem)
        if not self.is_open:
            raise StandbyError("another process works on it")
        return f"{self.name}/id", self.name

    def leave(self) -> None:
        self.is_open = True


class Controller:
    """One of several. Its clock is `offset` ahead of the test's, and runs at its own `rate`."""

    def __init__(self, swarm: Swarm, name: str, offset: float = 0.0, rate: float = 1.0) -> None:
        self.record = Record(swarm, name)
        self.ticket = Ticket(name)
        self.election = Election(self.record, self.ticket, lambda: swarm.time.now * rate + offset)
        self.told: list[bool] = []
        self.election.changed = lambda acts, why: self.told.append(acts)
        self.due = 0.0

    def step(self) -> None:
        self.due = self.record.swarm.time.now + self.election.step()


@pytest.fixture
def swarm() -> Swarm:
    return Swarm(Time())


def run(swarm: Swarm, controllers: list[Controller], seconds: float, *paused: Controller) -> None:
    """Let time pass in small steps; never may two of them act."""
    end = swarm.time.now + seconds
    while swarm.time.now < end:
        for each in controllers:
            if each not in paused and each.due <= swarm.time.now:
                each.step()
            assert sum(other.election.acts for other in controllers) <= 1
        swarm.time.now += 0.25


def test_a_lease_that_was_given_back_is_taken_at_once_and_a_missing_one_after_its_time(swarm: Swarm) -> None:
    one = Controller(swarm, "one")
    run(swarm, [one], LEASE_SECONDS)
    assert not one.election.acts, "a holder may have been at work, and its record removed by an operator"
    run(swarm, [one], 3)
    assert one.election.acts
    assert (one.election.term, one.election.holder, one.told) == (1, "one", [False, True])
    one.election.give_back()
    assert not one.election.acts
    two = Controller(swarm, "two")
    two.step()
    assert (two.election.acts, two.election.term, two.election.holder) == (True, 2, "two")


def test_what_a_later_process_of_the_same_controller_holds_is_not_given_back(swarm: Swarm) -> None:
    former, other = Controller(swarm, "one"), Controller(swarm, "two")
    swarm.lease = Lease(0, "", "", 0)
    former.step()
    started_again = Controller(swarm, "one")
    started_again.step()
    former.election.give_back()
    other.step()
    assert (started_again.election.term, other.election.acts) == (2, False)


def test_the_other_one_acts_when_the_holder_was_killed_and_not_before(swarm: Swarm) -> None:
    one, two = Controller(swarm, "one"), Controller(swarm, "two", offset=HOUR)
    swarm.lease = Lease(0, "", "", 0)
    run(swarm, [one, two], HOUR / 10)
    assert (one.told, two.told) == ([True], [False])
    assert two.election.rival == "one"
    assert "the controller on one holds" in two.election.explanation
    run(swarm, [one, two], LEASE_SECONDS - 4, one)
    assert not two.election.acts
    run(swarm, [one, two], 8, one)
    assert two.election.acts
    assert two.election.rival == ""


def test_a_holder_that_was_stopped_does_not_act_before_it_has_looked(swarm: Swarm) -> None:
    one, two = Controller(swarm, "one"), Controller(swarm, "two")
    swarm.lease = Lease(0, "", "", 0)
    run(swarm, [one, two], 10)
    assert one.election.acts
    assert one.election.require() > LEASE_SECONDS - ACT_SECONDS
    swarm.time.now += ACT_SECONDS
    with pytest.raises(StandbyError):
        one.election.require()
    run(swarm, [one, two], 2 * LEASE_SECONDS, one)
    assert two.election.acts
    run(swarm, [one, two], 60)
    assert one.told == [True, False]


def test_a_holder_without_a_majority_ceases_before_another_begins(swarm: Swarm) -> None:
    one, two = Controller(swarm, "one"), Controller(swarm, "two", offset=-HOUR)
    swarm.lease = Lease(0, "", "", 0)
    run(swarm, [one, two], 10)
    swarm.cut = {"one"}
    cut_at = swarm.time.now
    while one.election.acts:
        run(swarm, [one, two], 0.25)
    assert swarm.time.now - cut_at <= ACT_SECONDS
    assert "has no leader" in one.election.explanation
    run(swarm, [one, two], 30)
    assert two.election.acts
    swarm.cut = set()
    run(swarm, [one, two], 60)
    assert two.election.acts, "one that comes back takes nothing"


def test_a_swarm_without_a_leader_takes_the_lease_from_no_holder(swarm: Swarm) -> None:
    one, two = Controller(swarm, "one"), Controller(swarm, "two")
    swarm.lease = Lease(0, "", "", 0)
    run(swarm, [one, two], 10)
    swarm.cut = {"one", "two"}
    run(swarm, [one, two], 60)
    assert not one.election.acts
    swarm.cut = set()
    two.step()
    run(swarm, [one, two], 60)
    assert one.election.acts
    assert one.election.term == 1


def test_a_write_whose_answer_is_lost_counts_for_nothing(swarm: Swarm) -> None:
    one = Controller(swarm, "one")
    swarm.lease = Lease(0, "", "", 0)
    one.record.lost = True
    one.step()
    assert swarm.lease.holder == "one/id"
    assert not one.election.acts
    one.record.lost = False
    one.step()
    assert one.election.acts


def test_the_calls_of_a_holder_are_over_when_its_lease_is_and_those_of_others_never_were(
    swarm: Swarm,
) -> None:
    one, two = Controller(swarm, "one"), Controller(swarm, "two")
    swarm.lease = Lease(0, "", "", 0)
    run(swarm, [one, two], 10)
    assert not one.election.is_over
    assert not two.election.is_over, "a controller that never acted has begun nothing"
    swarm.cut = {"one"}
    written = swarm.time.now
    run(swarm, [one], ACT_SECONDS + 1)
    assert not one.election.acts
    assert not one.election.is_over
    run(swarm, [one], written + LEASE_SECONDS - swarm.time.now)
    assert one.election.is_over
    swarm.cut = set()
    run(swarm, [one], 3)
    assert not one.election.is_over


def test_the_time_of_a_write_is_that_of_its_beginning(swarm: Swarm) -> None:
    one = Controller(swarm, "one")
    swarm.lease = Lease(0, "", "", 0)
    one.record.seconds = ACT_SECONDS + 1
    one.step()
    assert not one.election.acts


def test_a_controller_prepares_after_another_one_and_not_after_itself(swarm: Swarm) -> None:
    one = Controller(swarm, "one")
    swarm.lease = Lease(0, "", "", 0)
    problems = ["no objects", ""]
    calls: list[str] = []

    def gained() -> None:
        calls.append("gained")
        if problem := problems.pop(0):
            raise TemporaryError(problem)

    one.election.gained = gained
    one.step()
    assert not one.election.acts
    assert "no objects" in one.election.explanation
    one.step()
    assert one.election.acts
    swarm.time.now += HOUR
    assert not one.election.acts
    one.step()
    assert one.election.acts
    assert len(calls) == 2
    swarm.lease = replace(swarm.lease, holder="two/id", node="two")
    one.step()
    assert not one.election.acts
    assert one.told == [False, True, False], "of what passed unseen between two steps, nothing is told"


def test_a_restarted_one_goes_on_at_once(swarm: Swarm) -> None:
    one = Controller(swarm, "one")
    swarm.lease = Lease(0, "", "", 0)
    one.step()
    again = Controller(swarm, "one")
    again.step()
    assert (again.election.acts, again.election.term) == (True, 2)


def test_of_two_processes_of_a_state_directory_one_takes_part(swarm: Swarm) -> None:
    one = Controller(swarm, "one")
    one.ticket.is_open = False
    swarm.lease = Lease(0, "", "", 0)
    one.step()
    assert not one.election.acts
    assert swarm.lease.holder == ""
    assert "another process" in one.election.explanation
    assert not one.election.is_hopeless


def test_what_a_person_has_to_repair_is_told_as_that(swarm: Swarm) -> None:
    one = Controller(swarm, "one")
    swarm.lease = Lease(0, "", "", 0)
    one.ticket.problem = "the engine is no manager of a Swarm"
    one.step()
    assert one.election.is_hopeless
    assert "no manager" in one.election.explanation
    one.ticket.problem = ""
    one.step()
    assert one.election.acts
    assert not one.election.is_hopeless


@pytest.mark.parametrize("seed", range(40))
def test_never_two_at_a_time_whatever_happens(swarm: Swarm, seed: int) -> None:
    chance = random.Random(seed)
    all_ = [
        Controller(swarm, name, offset=chance.uniform(-HOUR, HOUR), rate=chance.uniform(0.985, 1.015))
        for name in ("one", "two", "three")
    ]
    acted = set()
    for _ in range(60):
        swarm.cut = {each.record.name for each in all_ if chance.random() < 0.2}
        for each in all_:
            each.record.lost = chance.random() < 0.2
            each.record.seconds = chance.choice([0.0, 0.0, 0.5, 4.0])
        paused = [each for each in all_ if chance.random() < 0.25]
        run(swarm, all_, chance.uniform(0, 2 * PATIENCE_SECONDS), *paused)
        acted |= {each.record.name for each in all_ if each.election.acts}
    assert len(acted) > 1


def test_the_identity_of_a_state_directory_stays_and_is_that_of_its_node(tmp_path: Path) -> None:
    first = StateEntry(tmp_path / "state", lambda: ("n1", "node1"))
    identity, name = first.enter()
    assert name == "node1"
    assert first.enter() == (identity, name)
    second = StateEntry(tmp_path / "state", lambda: ("n1", "node1"))
    with pytest.raises(StandbyError, match="another process works on"):
        second.enter()
    first.leave()
    assert second.enter() == (identity, name)
    second.leave()
    assert StateEntry(tmp_path / "state", lambda: ("n2", "node2")).enter()[0] != identity
    assert StateEntry(tmp_path / "other", lambda: ("n1", "node1")).enter()[0] != identity


def test_it_runs_until_it_is_told_to_stop(swarm: Swarm) -> None:
    one = Controller(swarm, "one")
    swarm.lease = Lease(0, "", "", 0)
    stop = threading.Event()

    def changed(acts: bool, why: str) -> None:
        if acts:
            stop.set()

    one.election.changed = changed
    one.election.run(stop)
    assert one.election.acts


def test_where_there_was_never_a_lease_one_of_two_takes_it_at_once(swarm: Swarm) -> None:
    swarm.was_led = False
    one, two = Controller(swarm, "one"), Controller(swarm, "two")
    one.step()
    two.step()
    assert (one.election.acts, one.election.term) == (True, 1)
    assert not two.election.acts
    # It is removed by an operator while its holder acts.
    swarm.lease = None
    run(swarm, [one, two], 2 * LEASE_SECONDS + 3)
    assert one.election.acts or two.election.acts
    assert swarm.lease is not None
    assert swarm.lease.term == 2, "agents have seen the former term"


def test_a_controller_that_is_killed_before_it_has_the_lease_leaves_the_next_one_to_wait(
    swarm: Swarm,
) -> None:
    swarm.was_led = False
    one, two = Controller(swarm, "one"), Controller(swarm, "two")
    one.record.seconds = 1.0
    assert one.record.is_first()
    two.step()
    assert not two.election.acts
    run(swarm, [two], LEASE_SECONDS + 3)
    assert two.election.acts


def test_the_lease_of_an_earlier_release_is_marked_by_its_holder_only(swarm: Swarm) -> None:
    swarm.was_led, swarm.lease = False, Lease(0, "other/id", "other", 3)
    one = Controller(swarm, "one")
    one.step()
    assert not swarm.was_led, "one that stands by writes nothing"
    run(swarm, [one], LEASE_SECONDS + 3)
    assert one.election.acts
    assert swarm.was_led
