"""Each kind has its workers: passes of two kinds that share a name do not meet, and their queues are told apart."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from metrics.recorder import Recorder
from reconciler.api import TemporaryError, find_condition
from reconciler.api.kinds import VAULT_SERVICE, Kind, Ref
from reconciler.controller.loop import workers
from reconciler.controller.loop.backoff import Backoff
from reconciler.controller.loop.election import StandbyError
from reconciler.controller.loop.lease import lease
from reconciler.controller.loop.workers import Reconciler, Workers, lease_path
from reconciler.controller.reconcile.result import Result
from reconciler.store.history import HistoryStore
from reconciler.store.objects import ObjectStore
from tests.e2e.waiting import until
from tests.simulation.services import NAME, Wish
from tests.simulation.stores import ORIGIN

LAMP = Kind(name="Lamp", plural="lamps", model=("nowhere", "Lamp"), columns=())
PATIENCE = 60.0
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def in_a_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


class Lamps:
    """A kind whose passes only note that they were made."""

    def __init__(self, state: Path, reconcile: Callable[[str], Result]) -> None:
        self.ended = threading.Semaphore(0)
        self.results: list[tuple[str, Result | None]] = []
        self.records = HistoryStore(state / "history.sqlite3").of(LAMP)
        reconciler = Reconciler(LAMP, ObjectStore(state).of(LAMP), self.records, reconcile)
        backoff = Backoff(random.Random(1))
        self.recorder = Recorder()
        self.workers = Workers(reconciler, state, self.recorder, backoff, self._passed, lambda: NOW)
        self.workers.start(in_a_thread, 1)

    def _passed(self, ref: Ref, result: Result | None) -> None:
        assert ref.kind == LAMP
        self.results.append((ref.name, result))
        self.ended.release()

    def one(self, name: str) -> None:
        self.workers.wake(name)
        assert self.ended.acquire(timeout=PATIENCE)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path


def test_a_pass_is_what_its_kind_says(state: Path) -> None:
    lamps = Lamps(state, lambda name: Result(did=f"lit {name}"))
    lamps.one("hall")
    assert lamps.results == [("hall", Result(did="lit hall"))]
    assert lamps.workers.is_live
    lamps.workers.close()
    assert lamps.workers.snapshot().name == "lamp"


def test_a_pass_that_fails_is_told_and_tried_again(state: Path) -> None:
    tries = []

    def reconcile(name: str) -> Result:
        tries.append(name)
        if len(tries) == 1:
            raise TemporaryError("no current", 0.0)
        return Result()

    lamps = Lamps(state, reconcile)
    lamps.one("hall")
    assert lamps.ended.acquire(timeout=PATIENCE)
    lamps.workers.close()
    told = [(event.kind, event.name, event.reason, event.message) for event in lamps.records.events("hall")]
    assert told == [("Lamp", "hall", "Temporary", "no current")]
    assert lamps.results == [("hall", None), ("hall", Result())]


def test_a_pass_whose_result_cannot_be_told_is_made_again(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lamps = Lamps(state, lambda name: Result())
    tell = lamps.workers._passed

    def full(ref: Ref, result: Result | None) -> None:
        monkeypatch.setattr(lamps.workers, "_passed", tell)
        raise OSError("no space left on device")

    monkeypatch.setattr(lamps.workers, "_passed", full)
    lamps.one("hall")
    assert lamps.workers.is_live
    lamps.workers.close()
    assert lamps.results == [("hall", Result())]


def test_two_kinds_may_share_a_name(state: Path) -> None:
    """The lease of a VaultService keeps no pass of another kind from being made, and is where former releases look."""
    lamps = Lamps(state, lambda name: Result())
    with lease(lease_path(state, VAULT_SERVICE, "hall")):
        lamps.one("hall")
    lamps.workers.close()
    assert lamps.results == [("hall", Result())]
    assert lease_path(state, VAULT_SERVICE, "hall") == state / "leases" / "hall"


def test_nothing_is_counted_of_what_is_gone(state: Path) -> None:
    """Also not how long its last pass took."""
    lamps = Lamps(state, lambda name: Result(gone=name == "hall" and bool(lamps.results)))
    lamps.one("hall")
    lamps.one("hall")
    lamps.one("door")
    lamps.workers.close()
    lamps.workers.join(time.monotonic() + PATIENCE)
    samples = [sample for family in lamps.recorder.collect() for sample in family.samples]
    assert {name for each in samples if (name := each.labels.get("name", "")).startswith("lamp/")} == {
        "lamp/door"
    }


def test_what_follows_others_rests_after_each_of_its_passes(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FOLLOWING_SHARE", 1e-9)
    monkeypatch.setattr(workers, "LONGEST_REST", 3600.0)
    lamps = Lamps(state, lambda name: Result())
    lamps.workers.follow("hall")
    assert lamps.ended.acquire(timeout=PATIENCE)
    until("the pass is over", lambda: lamps.workers.snapshot().active_workers == 0)
    lamps.workers.follow("hall")
    assert lamps.workers.snapshot().depth == 0
    # What concerns itself does not wait, nor does another one.
    lamps.one("hall")
    lamps.workers.follow("door")
    assert lamps.ended.acquire(timeout=PATIENCE)
    lamps.workers.close()
    assert [name for name, _ in lamps.results] == ["hall", "hall", "door"]


def test_the_last_change_that_it_follows_is_not_lost(state: Path) -> None:
    lamps = Lamps(state, lambda name: Result())
    lamps.workers.follow("hall")
    assert lamps.ended.acquire(timeout=PATIENCE)
    until("the pass is over", lambda: lamps.workers.snapshot().active_workers == 0)
    for _ in range(5):
        lamps.workers.follow("hall")
    assert lamps.ended.acquire(timeout=PATIENCE)
    lamps.workers.close()


def test_a_controller_that_stands_by_makes_no_pass_and_says_who_acts(state: Path) -> None:
    objects = ObjectStore(state)
    objects.apply(Wish("web").service(), ORIGIN)
    passes: list[str] = []
    holders = ["node2"]
    ended = threading.Semaphore(0)

    def reconcile(name: str) -> Result:
        passes.append(name)
        if holders:
            raise StandbyError("the lease is lost")
        return Result()

    def require() -> None:
        if holders:
            raise StandbyError(f"the controller on {holders[0]} holds the lease")

    def passed(ref: Ref, result: Result | None) -> None:
        ended.release()

    records = HistoryStore(state / "history.sqlite3")
    workers = Workers(
        Reconciler(VAULT_SERVICE, objects, records, reconcile),
        state,
        Recorder(),
        Backoff(random.Random(1)),
        passed,
        lambda: NOW,
        require,
    )
    workers.start(in_a_thread, 1)
    workers.wake(NAME)
    assert ended.acquire(timeout=PATIENCE)
    ready = find_condition(objects.status(NAME).conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("Unknown", "Standby")
    assert "node2" in ready.message
    assert (passes, list(records.events(NAME))) == ([], [])
    assert workers.snapshot().depth == 0
    holders.clear()
    workers.wake(NAME)
    assert ended.acquire(timeout=PATIENCE)
    assert passes == [NAME]
    workers.close()
