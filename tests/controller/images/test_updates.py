"""From a tag in a registry to a line of the manifest: intervals, ages, failures, and what is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from metrics import catalog
from metrics.recorder import Recorder
from reconciler.api import PermanentError, VaultService
from reconciler.controller.images.updates import ImageUpdates, keep_updating
from reconciler.core.images.reference import Reference
from reconciler.registry.errors import RegistryError
from reconciler.store.base import Origin, StoredObject
from reconciler.store.history import HistoryStore
from reconciler.store.objects import ObjectStore
from reconciler.store.sightings import Sightings

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
KEY = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
POLICY: dict[str, Any] = {"workload": "web", "pattern": 'semver ">=1.4 <2"', "interval": "1m"}


@dataclass
class Shelf:
    """A registry: tags and their digests."""

    digests: dict[str, str]
    trouble: str = ""
    signed: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def tags(self, image: Reference) -> tuple[str, ...]:
        self.asked.append(image.place)
        if self.trouble:
            raise RegistryError(self.trouble)
        return tuple(self.digests)

    def digest(self, image: Reference) -> str:
        return self.digests[image.asked]

    def is_signed(self, image: Reference, keys: Sequence[str]) -> bool:
        assert keys == (KEY,)
        return image.digest in self.signed


class Scene:
    """Services of a state directory, a registry, and a clock; what is written is stored again."""

    def __init__(self, state: Path) -> None:
        self.time = START
        self.objects = ObjectStore(state)
        self.records = HistoryStore(state / "history.sqlite3")
        self.shelf = Shelf({"1.4.0": A})
        self.refusal = ""
        self.written: list[str] = []
        self.recorder = Recorder()
        self.updates = self.fresh()

    def fresh(self) -> ImageUpdates:
        """A controller that has just been started."""
        return ImageUpdates(
            self.objects,
            self.records,
            lambda: self.shelf,
            lambda name: Sightings(self.objects.directory(name)),
            lambda stored, workload: "r.test/app:1.4.0",
            self.write,
            self.recorder,
            lambda: self.time,
        )

    def apply(self, policy: dict[str, Any] | None = None, name: str = "files", **spec: Any) -> None:
        document = {"plugin": "whoami", "ports": {"http": 8080}, **spec}
        if policy is not None:
            document["imagePolicy"] = policy
        service = VaultService.model_validate({"metadata": {"name": name}, "spec": document})
        self.objects.apply(service, Origin("apply", "stdin", Path("/x.yaml"), 1))

    def write(self, stored: StoredObject, workload: str, image: str) -> str:
        if self.refusal:
            raise PermanentError(self.refusal)
        self.written.append(image)
        spec = stored.resource.spec.model_copy(
            update={"images": {**stored.resource.spec.images, workload: image}}
        )
        self.objects.apply(stored.resource.model_copy(update={"spec": spec}), stored.origin)
        return "the store"

    def look(self, after: float = 0.0) -> list[str]:
        """What is written by a look this many seconds later."""
        self.time += timedelta(seconds=after)
        before = len(self.written)
        self.updates.look()
        return self.written[before:]

    def end(self, result: str, image: str, number: int) -> None:
        """A rollout of the image has ended."""
        record = self.records.open_revision(
            "files", f"v1-{number}", json.dumps({"images": {"web": image}}), "spec", "", self.time
        )
        self.records.finish_revision("files", record, result, self.time)  # type: ignore[arg-type]

    @property
    def events(self) -> list[str]:
        return [f"{each.type} {each.reason}: {each.message}" for each in self.records.events("files")]

    def counted(self, result: str) -> float:
        samples = (s for family in self.recorder.collect() for s in family.samples)
        return sum(
            s.value for s in samples if s.name == catalog.IMAGE_CHECKS.name and s.labels["result"] == result
        )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "state")


def test_nothing_is_read_while_no_object_changes_and_no_check_is_due(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.apply(POLICY)
    stamps = iter(("one", "one", "one", "two", None, None))
    read: list[str] = []
    get = scene.objects.get

    def noted(name: str) -> Any:
        read.append(name)
        return get(name)

    monkeypatch.setattr(scene.objects, "stamp", lambda: next(stamps))
    monkeypatch.setattr(scene.objects, "get", noted)
    counts = []
    for seconds in (0.0, 2.0, 60.0, 0.0, 0.0, 0.0):
        scene.look(after=seconds)
        counts.append(len(read))
        read.clear()
    # The second look is quiet; then a minute has passed, an object has changed, or may have.
    assert [count > 0 for count in counts] == [True, False, True, True, True, True]


def test_a_new_tag_is_written_with_its_digest_at_the_next_interval(scene: Scene) -> None:
    scene.apply(POLICY)
    assert scene.look() == []
    scene.shelf.digests |= {"1.5.0": B, "2.0.0": C, "latest": C}
    assert scene.look(59) == []
    assert scene.look(1) == [f"r.test/app:1.5.0@{B}"]
    assert scene.events == [
        f"Normal ImageChosen: web: 1.4.0 -> 1.5.0: r.test/app:1.5.0@{B}, written to the store"
    ]
    assert scene.look(60) == []
    assert scene.shelf.asked == ["r.test/app"] * 3
    assert (scene.counted("success"), scene.counted("error")) == (3, 0)


def test_the_image_of_the_manifest_is_where_it_begins(scene: Scene) -> None:
    scene.apply(POLICY, images={"web": "other.test/app:1.4.9"})
    scene.shelf.digests |= {"1.4.5": B, "1.5.0": C}
    assert scene.look() == [f"other.test/app:1.5.0@{C}"]


@pytest.mark.parametrize(
    ("digest", "written"), [("none", "r.test/app:1.5.0"), ("pin", f"r.test/app:1.5.0@{B}")]
)
def test_a_digest_is_written_if_it_is_wanted(scene: Scene, digest: str, written: str) -> None:
    scene.apply(POLICY | {"digest": digest})
    scene.shelf.digests["1.5.0"] = B
    assert scene.look() == [written]


def test_age_counts_from_the_first_sighting_also_over_a_restart(scene: Scene) -> None:
    scene.apply(POLICY | {"minAge": "3d"})
    scene.shelf.digests["1.5.0"] = B
    assert scene.look() == []
    scene.updates = scene.fresh()
    assert scene.look(3 * 86400 - 1) == []
    assert scene.look(60) == [f"r.test/app:1.5.0@{B}"]


def test_a_tag_that_went_and_came_back_is_as_young_as_a_new_one(scene: Scene) -> None:
    scene.apply(POLICY | {"minAge": "1h"})
    scene.shelf.digests["1.5.0"] = B
    scene.look()
    del scene.shelf.digests["1.5.0"]
    scene.look(1800)
    scene.shelf.digests["1.5.0"] = B
    assert scene.look(1800) == []
    assert scene.look(3600) == [f"r.test/app:1.5.0@{B}"]


def test_a_failed_image_is_not_tried_again_and_the_next_one_is(scene: Scene) -> None:
    scene.apply(POLICY)
    scene.shelf.digests["1.5.0"] = B
    assert scene.look() == [f"r.test/app:1.5.0@{B}"]
    scene.end("RolledBack", f"r.test/app:1.5.0@{B}", 1)
    assert scene.look(60) == []
    # Also when the manifest is set back, and by another controller.
    scene.apply(POLICY, images={"web": f"r.test/app:1.4.0@{A}"})
    scene.updates = scene.fresh()
    assert scene.look(60) == []
    scene.shelf.digests["1.5.1"] = C
    assert scene.look(60) == [f"r.test/app:1.5.1@{C}"]


def test_an_image_that_has_run_well_has_not_failed(scene: Scene) -> None:
    scene.apply(POLICY)
    scene.shelf.digests["1.5.0"] = B
    scene.end("Complete", f"r.test/app:1.5.0@{B}", 1)
    scene.end("RolledBack", f"r.test/app:1.5.0@{B}", 2)
    assert scene.look() == [f"r.test/app:1.5.0@{B}"]


def test_a_moved_tag_is_told_once(scene: Scene) -> None:
    scene.apply(POLICY, images={"web": f"r.test/app:1.4.0@{A}"})
    scene.shelf.digests["1.4.0"] = B
    assert scene.look() == scene.look(60) == []
    (told,) = scene.events
    assert told.startswith(
        "Warning ImageMoved: web: tag 1.4.0 has moved from sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb in its registry; "
        f"vaultctl set files images.web=r.test/app:1.4.0@{B}"
    )
    scene.shelf.digests["1.4.0"] = C
    scene.look(60)
    assert len(scene.events) == 2


def test_a_moved_tag_is_followed_if_that_is_wanted(scene: Scene) -> None:
    scene.apply(POLICY | {"digest": "follow"}, images={"web": f"r.test/app:1.4.0@{A}"})
    scene.shelf.digests["1.4.0"] = B
    assert scene.look() == [f"r.test/app:1.4.0@{B}"]
    assert scene.look(60) == []


def test_a_registry_that_is_away_is_told_once_and_asked_again(scene: Scene) -> None:
    scene.apply(POLICY | {"interval": "1d"})
    scene.shelf.trouble = "r.test cannot be reached: Connection refused"
    for _ in range(3):
        scene.look(3600)
    assert scene.events == [f"Warning ImageCheckFailed: imagePolicy of web: {scene.shelf.trouble}"]
    assert scene.counted("error") == 3
    scene.shelf.trouble = ""
    scene.shelf.digests["1.5.0"] = B
    assert scene.look(3600) == [f"r.test/app:1.5.0@{B}"]


def test_a_manifest_that_cannot_be_written_is_told(scene: Scene) -> None:
    scene.apply(POLICY)
    scene.shelf.digests["1.5.0"] = B
    scene.refusal = "files.yaml: spec.images is an alias; edit the file yourself"
    assert scene.look() == scene.look(60) == []
    assert scene.events == [
        f"Warning ImageNotWritten: imagePolicy of web: r.test/app:1.5.0@{B} is chosen, and cannot be written: "
        f"{scene.refusal}"
    ]
    scene.refusal = ""
    assert scene.look(60) == [f"r.test/app:1.5.0@{B}"]


def test_an_image_is_taken_when_its_digest_is_signed(scene: Scene) -> None:
    scene.apply(POLICY | {"signedBy": [KEY]})
    scene.shelf.digests["1.5.0"] = B
    assert scene.look() == scene.look(60) == []
    assert scene.events == [
        f"Warning ImageNotSigned: imagePolicy of web: r.test/app:1.5.0@{B} is not taken: cosign has signed it with no key "
        "of signedBy"
    ]
    assert (scene.counted("success"), scene.counted("error")) == (0, 2)
    scene.shelf.signed.add(B)
    assert scene.look(60) == [f"r.test/app:1.5.0@{B}"]


def test_a_moved_tag_is_followed_when_its_digest_is_signed(scene: Scene) -> None:
    scene.apply(POLICY | {"digest": "follow", "signedBy": [KEY]}, images={"web": f"r.test/app:1.4.0@{A}"})
    scene.shelf.signed.add(A)
    assert scene.look() == []
    scene.shelf.digests["1.4.0"] = B
    assert scene.look(60) == []
    scene.shelf.signed.add(B)
    assert scene.look(60) == [f"r.test/app:1.4.0@{B}"]


def test_what_is_suspended_deleted_or_without_a_policy_is_left_alone(scene: Scene) -> None:
    scene.apply(None, "plain")
    scene.apply(POLICY, "still", suspend=True, ports={"http": 8081})
    scene.apply(POLICY, "gone", ports={"http": 8082})
    scene.objects.request_deletion("gone", False, scene.time)
    scene.shelf.digests["1.5.0"] = B
    assert scene.look() == []
    assert scene.shelf.asked == []


def test_a_changed_policy_is_looked_at_without_waiting(scene: Scene) -> None:
    scene.apply(POLICY | {"interval": "1d"})
    scene.look()
    scene.shelf.digests["2.1.0"] = B
    scene.apply(POLICY | {"pattern": 'semver "^2"'})
    assert scene.look(1) == [f"r.test/app:2.1.0@{B}"]


def test_a_defect_is_tried_at_its_interval_and_hides_no_other_service(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def tags(image: Reference) -> tuple[str, ...]:
        asked.append(image.place)
        if image.place == "r.test/odd":
            raise KeyError("name")
        return ("1.5.0",)

    monkeypatch.setattr(scene.shelf, "tags", tags)
    scene.shelf.digests["1.5.0"] = B
    scene.apply(POLICY, name="files", images={"web": "r.test/odd:1.4.0"})
    scene.apply(POLICY, name="wiki")
    assert scene.look() == [f"r.test/app:1.5.0@{B}"]
    assert scene.look(2) == []
    assert asked.count("r.test/odd") == 1
    assert "KeyError" in caplog.text
    scene.look(60)
    assert asked.count("r.test/odd") == 2
    assert scene.counted("error") == 2


def test_one_service_hides_no_other(scene: Scene) -> None:
    def image_of(stored: StoredObject, workload: str) -> str:
        if stored.name == "broken":
            raise PermanentError("it cannot be built")
        return "sha256:" + "d" * 64 if stored.name == "files" else "r.test/app:1.4.0"

    scene.updates.image_of = image_of
    for number, name in enumerate(("broken", "files", "wiki")):
        scene.apply(POLICY, name, ports={"http": 8080 + number})
    scene.shelf.digests["1.5.0"] = B
    assert scene.look() == [f"r.test/app:1.5.0@{B}"]
    assert "has no registry that could be asked; name another one in spec.images" in scene.events[0]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"place": "r.test/app", "seen": {"1.5.0": 5}}', b"\xff"]
)
def test_a_damaged_file_of_sightings_begins_anew(scene: Scene, content: bytes) -> None:
    scene.apply(POLICY | {"minAge": "1h"})
    (scene.objects.directory("files") / "images.json").write_bytes(content)
    scene.shelf.digests["1.5.0"] = B
    assert scene.look() == []
    assert scene.look(3600) == [f"r.test/app:1.5.0@{B}"]


def test_the_sightings_of_another_repository_do_not_count(scene: Scene) -> None:
    scene.apply(POLICY | {"minAge": "1h"})
    scene.shelf.digests["1.5.0"] = B
    scene.look()
    scene.apply(POLICY | {"minAge": "1h"}, images={"web": "other.test/app:1.4.0"})
    assert scene.look(3600) == []
    assert scene.look(3600) == [f"other.test/app:1.5.0@{B}"]


def test_a_controller_that_stands_by_asks_no_registry() -> None:
    looks: list[str] = []
    acting = iter([True, False, True])
    stops = iter([False, False, False, True])
    stop: Any = SimpleNamespace(wait=lambda seconds: next(stops))
    updates: Any = SimpleNamespace(look=lambda: looks.append("look"))
    keep_updating(updates, stop, lambda: next(acting))
    assert looks == ["look", "look"]
