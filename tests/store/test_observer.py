"""Whatever process writes an object, its change gets a number; the state directory of a former release needs no upgrade."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import Condition, Status, VaultService
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.app.cluster.documents import document
from reconciler.store import files
from reconciler.store.base import STATUS_BELL, Origin
from reconciler.store.ears import Ears
from reconciler.store.layout import STATUS
from reconciler.store.objects import LOCK, ObjectStore
from reconciler.store.observer import Observer
from reconciler.store.versions import Versions

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ORIGIN = Origin("apply", "test.yaml", Path("/manifests/test.yaml"), 1)
MANY = 40
WAIT_SECONDS = 20.0
Written = Callable[..., VaultService]


class World:
    """A state directory, and an observer that can be started again."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.objects = ObjectStore(state)
        self.restart()

    def restart(self) -> None:
        self.versions = Versions(self.state / "versions.sqlite3", lambda: NOW)
        self.observer = Observer(self.state, ObjectStore(self.state), self.versions, document)

    def look(self) -> list[tuple[str, str]]:
        return [(each.type, each.document.name) for each in self.observer.look_everywhere()]

    def seen(self, name: str) -> Any:
        found = self.versions.document("VaultService", name)
        return json.loads(found.text) if found else None


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "state").mkdir(mode=0o711)
    return World(tmp_path / "state")


def test_specs_statuses_deletions_and_removals_are_changes(world: World, written: Written) -> None:
    world.objects.apply(written("a"), ORIGIN)
    assert world.look() == [("ADDED", "a")]
    assert world.look() == []
    world.objects.put_status("a", Status(observed_generation=1))
    assert world.look() == [("MODIFIED", "a")]
    assert world.seen("a")["status"]["observedGeneration"] == 1
    world.objects.apply(written("a", "replicas: 3"), ORIGIN)
    assert world.look() == [("MODIFIED", "a")]
    assert world.seen("a")["metadata"]["generation"] == 2
    world.objects.request_deletion("a", volumes=False, now=NOW)
    assert world.look() == [("MODIFIED", "a")]
    assert world.seen("a")["metadata"]["deletionTimestamp"] == "2026-05-01T12:00:00Z"
    world.objects.remove("a")
    assert world.look() == [("DELETED", "a")]
    assert world.look() == []


def test_of_an_object_that_is_gone_nothing_is_remembered(world: World, written: Written) -> None:
    """Previews of branches, for example, have names that never come back."""
    seen = world.observer._objects
    world.objects.apply(written("a"), ORIGIN)
    world.objects.put_status("a", Status(observed_generation=1))
    world.look()
    assert seen._parsed._known
    assert seen._statuses._known
    world.objects.remove("a")
    assert world.look() == [("DELETED", "a")]
    for known in (world.observer._seen, seen._parsed._known, seen._statuses._known):
        assert not known


def test_two_changes_within_a_tick_of_the_clock_are_both_seen(world: World, written: Written) -> None:
    for replicas in range(1, 30):
        world.objects.apply(written("a", f"replicas: {replicas}"), ORIGIN)
        assert world.look() == [("ADDED" if replicas == 1 else "MODIFIED", "a")]
        assert world.seen("a")["spec"]["replicas"] == replicas


def test_what_happened_without_an_observer_is_found_at_its_start(world: World, written: Written) -> None:
    for name in ("gone", "kept", "changed", "again"):
        world.objects.apply(written(name), ORIGIN)
    world.look()
    number = world.versions.number
    world.versions.close()
    world.objects.remove("gone")
    world.objects.apply(written("changed", "replicas: 4"), ORIGIN)
    world.objects.remove("again")
    world.objects.apply(written("again"), ORIGIN)
    world.objects.apply(written("new"), ORIGIN)
    world.restart()
    assert world.look() == [
        ("DELETED", "again"), ("ADDED", "again"), ("MODIFIED", "changed"), ("DELETED", "gone"), ("ADDED", "new"),
    ]  # fmt: skip
    assert len(world.versions.since(number, 100) or ()) == 5


def test_a_damaged_object_stays_as_it_was_seen_last(world: World, written: Written) -> None:
    world.objects.apply(written("a", "replicas: 2"), ORIGIN)
    world.look()
    (world.objects.directory("a") / "object.json").write_text("{}")
    assert world.look() == []
    assert world.seen("a")["spec"]["replicas"] == 2
    world.objects.apply(written("a", "replicas: 3"), ORIGIN)
    assert world.look() == [("MODIFIED", "a")]


def test_the_state_directory_of_a_former_release_has_uids_and_times(
    world: World, written: Written, tmp_path: Path
) -> None:
    world.objects.apply(written("a"), ORIGIN)
    former = tmp_path / "former"
    shutil.copytree(world.state, former)
    for path in former.glob("versions.sqlite3*"):
        path.unlink()
    born = (former / "services" / "a" / LOCK).stat().st_mtime
    first = World(former)
    assert first.look() == [("ADDED", "a")]
    second = World(former)
    # The second finds what the first has recorded.
    assert second.look() == []
    metadata = second.seen("a")["metadata"]
    assert metadata["creationTimestamp"] == datetime.fromtimestamp(born, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert metadata == first.seen("a")["metadata"]
    assert int(metadata["resourceVersion"]) == second.versions.number
    # Only the journal and nothing of the objects is written: the former release goes on with them.
    assert json.loads((former / "services" / "a" / "object.json").read_text()) == json.loads(
        (world.state / "services" / "a" / "object.json").read_text()
    )


@pytest.fixture
def following(world: World) -> Iterator[None]:
    with Ears() as ears:
        thread = threading.Thread(target=world.observer.keep_looking, args=(ears,), daemon=True)
        thread.start()
        yield
        ears.end()
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()


@pytest.mark.usefixtures("following")
def test_bells_of_other_processes_are_heard(world: World, written: Written) -> None:
    rung = threading.Event()
    world.versions.tell(rung.set)

    def changed(what: Callable[[], object]) -> None:
        rung.clear()
        what()
        assert rung.wait(WAIT_SECONDS)

    changed(lambda: world.objects.apply(written("a"), ORIGIN))
    ready = Condition(type="Ready", status="True", reason="RolloutComplete", last_transition_time=NOW)
    changed(lambda: world.objects.put_status("a", Status(conditions=(ready,))))
    changed(lambda: world.objects.remove("a"))
    deadline = time.monotonic() + WAIT_SECONDS
    while world.versions.names("VaultService"):
        assert time.monotonic() < deadline
    assert world.observer.look([Ref(VAULT_SERVICE, "a")]) == ()


@pytest.mark.usefixtures("following")
def test_a_bell_that_names_nothing_is_heard(world: World, written: Written) -> None:
    """A former release writes so."""
    world.objects.apply(written("a"), ORIGIN)
    _until(lambda: world.seen("a") is not None)
    services = world.state / "services"
    content = Status(observed_generation=1).model_dump_json(exclude_none=True).encode()
    files.write(services / "a" / STATUS, content, durable=False)
    (services / STATUS_BELL).touch()
    _until(lambda: world.seen("a")["status"].get("observedGeneration") == 1)


@pytest.mark.usefixtures("following")
def test_of_many_objects_only_the_changed_one_is_looked_at(
    world: World, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        world.objects.apply(written(name), ORIGIN)
    _until(lambda: world.versions.names("VaultService") == {"a", "b", "c"})
    looked: list[str] = []
    signature = Observer._signature

    def noted(observer: Observer, ref: Ref) -> object:
        looked.append(ref.name)
        return signature(observer, ref)

    monkeypatch.setattr(Observer, "_signature", noted)
    for generation in range(1, MANY + 1):
        world.objects.put_status("b", Status(observed_generation=generation))
    _until(lambda: world.seen("b")["status"].get("observedGeneration") == MANY)
    # A writer that has to wait between the name and the bell makes it look at all.
    assert looked.count("a") < looked.count("b")


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
