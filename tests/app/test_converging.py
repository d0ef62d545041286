"""Services converge by a controller elsewhere or here, and every end is told the same way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from reconciler.api import ReplicaCounts, Status, TemporaryError, VaultError, VaultService
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.app.converging import conclude, delete, settle
from reconciler.controller.report.outcome import Outcome, Progress, Report
from reconciler.store.base import Origin, StoredObject
from reconciler.store.objects import ObjectStore

MakeService = Callable[..., VaultService]
MakeStatus = Callable[..., Status]
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
FILES = Ref(VAULT_SERVICE, "files")
READY = Outcome(True, "Serving", "all serve")
BLOCKED = Outcome(False, "Blocked", "port 8080 is taken")


@dataclass
class Machine:
    """A state directory with a controller beside it or without one; `outcome` is how converging here ends."""

    objects: ObjectStore
    has_controller: bool = False
    outcome: Outcome = READY
    asked: list[tuple[Collection[Ref], float]] = field(default_factory=list)

    def controller_is_running(self) -> bool:
        return self.has_controller

    @contextmanager
    def changes(self) -> Iterator[Machine]:
        yield self

    def wait(self, seconds: float) -> None:
        """Something has changed."""

    def converge(
        self, refs: Collection[Ref], timeout: float, on_progress: Report | None = None
    ) -> Mapping[Ref, Outcome]:
        self.asked.append((refs, timeout))
        if on_progress:
            on_progress(Progress("files", ReplicaCounts(), "create 1 x web"))
            on_progress(Progress("another", ReplicaCounts(), "woken by an event"))
        return dict.fromkeys(refs, self.outcome)


@pytest.fixture
def stored(objects: ObjectStore, make_service: MakeService, origin: Origin) -> StoredObject:
    return objects.apply(make_service(), origin)


def test_without_a_controller_the_work_is_done_here(objects: ObjectStore, stored: StoredObject) -> None:
    machine, seen = Machine(objects), list[Progress]()
    assert settle(machine, [stored], 30.0, seen.append) == {FILES: READY}
    assert machine.asked == [((FILES,), 30.0)]
    assert [(each.name, each.message, each.done) for each in seen] == [
        ("files", "create 1 x web", False),
        ("files", "all serve", True),
    ]


def test_a_controller_elsewhere_is_waited_for(
    objects: ObjectStore, stored: StoredObject, make_status: MakeStatus
) -> None:
    objects.put_status("files", make_status(Ready=("True", "Serving", "all serve")))
    machine, seen = Machine(objects, has_controller=True), list[Progress]()
    assert settle(machine, [stored], 30.0, seen.append) == {FILES: READY}
    assert machine.asked == []
    assert [each.done for each in seen] == [True]


def test_every_service_that_is_not_ready_is_named() -> None:
    conclude({FILES: READY})
    with pytest.raises(VaultError) as caught:
        conclude(
            {
                FILES: BLOCKED,
                Ref(VAULT_SERVICE, "wiki"): READY,
                Ref(VAULT_SERVICE, "mail"): Outcome(False, "TimedOut", "not Ready within 2 s"),
            }
        )
    assert str(caught.value) == (
        "files is not Ready: Blocked: port 8080 is taken\nmail is not Ready: TimedOut: not Ready within 2 s"
    )


@pytest.mark.usefixtures("stored")
def test_a_deletion_is_asked_for_and_seen_to(objects: ObjectStore) -> None:
    machine = Machine(objects, outcome=Outcome(True, "Deleted", ""))
    delete(machine, FILES, volumes=True, timeout=10.0, now=NOW)
    left = objects.get("files")
    assert left is not None
    assert left.deletion is not None
    assert left.deletion.volumes
    assert machine.asked == [([FILES], 10.0)]


@pytest.mark.usefixtures("stored")
def test_a_deletion_that_does_not_end_is_an_error(objects: ObjectStore) -> None:
    with pytest.raises(VaultError, match="files is not deleted: Blocked: port 8080 is taken"):
        delete(Machine(objects, outcome=BLOCKED), FILES, volumes=False, timeout=10.0, now=NOW)
    with pytest.raises(TemporaryError, match="still being deleted after 0 s"):
        delete(Machine(objects, has_controller=True), FILES, volumes=False, timeout=0.0, now=NOW)
