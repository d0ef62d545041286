"""Waiting for another process's controller ends when it is Ready, failed for good, or late, and says which."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from reconciler.api import Status, TemporaryError, VaultError, VaultService
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.api.reasons import Reason
from reconciler.app.goals import parse_goal
from reconciler.app.waiting import until_gone, until_met, until_settled
from reconciler.controller.report.outcome import Outcome, Progress
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore

MakeService = Callable[..., VaultService]
MakeStatus = Callable[..., Status]
FILES = Ref(VAULT_SERVICE, "files")

READY = ("True", "Serving", "all serve")
MOVING = ("False", "Progressing", "create 1 x web")
STALLED = ("True", "Blocked", "port 8080 is taken")


class Time:
    """A clock that only waiting moves; `then` are the things that happen in one wait after the other."""

    def __init__(self, *then: Callable[[], object]) -> None:
        self.now = 0.0
        self._then = list(then)

    def clock(self) -> float:
        return self.now

    def pause(self, left: float) -> None:
        self.now += min(left, 1.0)
        if self._then:
            self._then.pop(0)()


@pytest.fixture
def stored(objects: ObjectStore, make_service: MakeService, origin: Origin) -> ObjectStore:
    objects.apply(make_service(), origin)
    return objects


def settle(objects: ObjectStore, time: Time, timeout: float = 10.0) -> tuple[Outcome, list[Progress]]:
    seen: list[Progress] = []
    outcomes = until_settled(objects, {FILES: 1}, timeout, seen.append, clock=time.clock, pause=time.pause)
    return outcomes[FILES], seen


def test_it_waits_for_ready(stored: ObjectStore, make_status: MakeStatus) -> None:
    steps = [make_status(Ready=MOVING), make_status(Ready=MOVING), make_status(Ready=READY)]
    time = Time(*(lambda status=status: stored.put_status("files", status) for status in steps))
    outcome, seen = settle(stored, time)
    assert outcome == Outcome(True, "Serving", "all serve")
    assert [each.message for each in seen][1:] == ["create 1 x web", "create 1 x web", "all serve"]
    assert [each.done for each in seen] == [False, False, False, True]


def test_a_ready_of_an_older_generation_does_not_count(stored: ObjectStore, make_status: MakeStatus) -> None:
    stored.put_status("files", make_status(0, Ready=READY))
    outcome, _ = settle(stored, Time())
    assert (outcome.ready, outcome.reason) == (False, "TimedOut")


def test_it_does_not_wait_for_what_will_not_come(stored: ObjectStore, make_status: MakeStatus) -> None:
    stored.put_status("files", make_status(Ready=MOVING, Stalled=STALLED))
    time = Time()
    assert settle(stored, time)[0] == Outcome(False, "Blocked", "port 8080 is taken")
    assert time.now == 0


def test_it_ends_in_time_and_says_what_it_waited_for(stored: ObjectStore, make_status: MakeStatus) -> None:
    stored.put_status("files", make_status(Ready=MOVING))
    time = Time()
    outcome, _ = settle(stored, time, timeout=2.0)
    assert outcome == Outcome(False, "TimedOut", "not Ready within 2 s: create 1 x web")
    assert 2.0 <= time.now < 2.5


def test_a_newer_spec_or_a_deletion_ends_the_wait(
    stored: ObjectStore, make_service: MakeService, origin: Origin
) -> None:
    changed = Time(lambda: stored.apply(make_service(replicas=7), origin))
    assert settle(stored, changed)[0].reason == "Superseded"
    removed = Time(lambda: stored.remove("files"))
    assert settle(stored, removed)[0].reason in ("Deleted", "Superseded")


def test_gone_means_gone(stored: ObjectStore) -> None:
    time = Time(lambda: None, lambda: stored.remove("files"))
    until_gone(stored, FILES, 10.0, clock=time.clock, pause=time.pause)
    assert stored.get("files") is None


def test_an_end_that_needs_something_else_first_is_not_waited_for(
    stored: ObjectStore, make_status: MakeStatus
) -> None:
    stored.request_deletion("files", volumes=False, now=datetime(2026, 5, 1, tzinfo=UTC))
    routed = ("True", Reason.STILL_ROUTED, "is not deleted while services have routes on it: wiki")
    stored.put_status("files", make_status(Ready=("False", *routed[1:]), Stalled=routed))
    with pytest.raises(VaultError, match=r"files is not deleted: StillRouted: .* on it: wiki"):
        until_gone(stored, FILES, 3.0, clock=Time().clock, pause=Time().pause)


def test_waiting_for_the_end_has_an_end(stored: ObjectStore) -> None:
    time = Time()
    with pytest.raises(TemporaryError, match="still being deleted after 3 s"):
        until_gone(stored, FILES, 3.0, clock=time.clock, pause=time.pause)


def meet(objects: ObjectStore, goal: str, time: Time, timeout: float = 10.0) -> list[Ref]:
    told: list[Ref] = []
    until_met(
        objects,
        [FILES],
        parse_goal(goal),
        timeout,
        told.append,
        clock=time.clock,
        pause=time.pause,
    )
    return told


def test_a_goal_is_met_by_a_later_change(stored: ObjectStore, make_status: MakeStatus) -> None:
    steps = [make_status(Ready=MOVING), make_status(0, Ready=READY), make_status(Ready=READY)]
    time = Time(*(lambda status=status: stored.put_status("files", status) for status in steps))
    assert meet(stored, "condition=Ready", time) == [FILES]
    assert time.now == 3.0


def test_a_goal_that_is_met_already_takes_no_time(stored: ObjectStore, make_status: MakeStatus) -> None:
    stored.put_status("files", make_status(Ready=MOVING))
    time = Time()
    assert meet(stored, "condition=Ready=False", time, timeout=0) == [FILES]
    assert time.now == 0


def test_a_goal_that_is_missed_says_what_the_object_does(
    stored: ObjectStore, make_status: MakeStatus
) -> None:
    stored.put_status("files", make_status(Ready=MOVING))
    with pytest.raises(
        TemporaryError, match="timed out after 3 s waiting for condition=Ready of files: create 1 x web"
    ):
        meet(stored, "condition=Ready", Time(), timeout=3)


def test_a_deletion_is_a_goal_and_else_the_end(stored: ObjectStore) -> None:
    assert meet(stored, "delete", Time(lambda: stored.remove("files"))) == [FILES]
    assert meet(stored, "delete", Time(), timeout=0) == [FILES]
    with pytest.raises(VaultError, match="files was deleted, so condition=Ready cannot be met"):
        meet(stored, "condition=Ready", Time())


def test_a_creation_is_a_goal(objects: ObjectStore, make_service: MakeService, origin: Origin) -> None:
    assert meet(objects, "create", Time(lambda: objects.apply(make_service(), origin))) == [FILES]
    objects.remove("files")
    with pytest.raises(TemporaryError, match="waiting for create of files"):
        meet(objects, "create", Time(), timeout=2)
