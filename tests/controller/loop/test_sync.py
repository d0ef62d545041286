from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.api import Manifest, PermanentError, Problem, TemporaryError, parse
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.controller.loop.sync import Synced, sync
from reconciler.sources.base import Loaded
from reconciler.store.base import Deletion, Origin, StoredObject
from reconciler.store.objects import ObjectStore
from tests.stored import service_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROOT = Path("/srv/manifests")


@dataclass
class Place:
    """A source that is loaded by the test itself."""

    place: str = str(ROOT)
    kind: Literal["directory", "git"] = "directory"

    def load(self) -> Loaded:
        raise AssertionError("sync must not load")

    def watch(self, stop: threading.Event) -> Iterator[None]:
        raise AssertionError("sync must not watch")


SOURCE = Place()


def manifest(name: str, spec: str = "", root: Path = ROOT, file: str = "") -> Manifest:
    text = f"apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {{name: {name}}}\n"
    return parse(f"{text}spec: {{plugin: whoami{spec}}}\n", root / (file or f"{name}.yaml"))[0]


def whole(*manifests: Manifest, commit: str = "") -> Loaded:
    return Loaded(manifests, (), complete=True, commit=commit)


def broken(*manifests: Manifest, file: str, message: str = "is not valid YAML") -> Loaded:
    return Loaded(manifests, (Problem(ROOT / file, 3, 1, "", message),), complete=False)


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path)


def stored(objects: ObjectStore, name: str) -> StoredObject:
    found = objects.get(name)
    assert found is not None
    return found


def names(done: Synced) -> tuple[str, ...]:
    """The names of what is due."""
    return tuple(ref.name for ref in done.due)


def test_what_is_loaded_is_stored_with_where_it_comes_from(objects: ObjectStore) -> None:
    source = Place("repository", "git")
    done = sync(whole(manifest("wiki"), manifest("files"), commit="c0ffee"), objects, source, NOW)
    assert (names(done), done.failures) == (("files", "wiki"), {})
    assert objects.names() == ("files", "wiki")
    assert stored(objects, "wiki").origin == Origin("git", "repository", ROOT / "wiki.yaml", 1, "c0ffee")


def test_what_did_not_change_is_due_for_a_pass_too(objects: ObjectStore) -> None:
    sync(whole(manifest("files")), objects, SOURCE, NOW)
    assert names(sync(whole(manifest("files")), objects, SOURCE, NOW)) == ("files",)
    assert stored(objects, "files").resource.metadata.generation == 1


def test_a_bad_manifest_marks_its_object_and_stops_no_other(objects: ObjectStore) -> None:
    sync(whole(manifest("files"), manifest("wiki")), objects, SOURCE, NOW)
    done = sync(broken(manifest("wiki", ", replicas: 3"), file="files.yaml"), objects, SOURCE, NOW)
    assert (names(done), done.failures) == (("files", "wiki"), {})
    files, wiki = stored(objects, "files"), stored(objects, "wiki")
    assert (files.problem, files.deletion) == ("/srv/manifests/files.yaml:3:1: is not valid YAML", None)
    assert files.resource.metadata.generation == 1
    assert (wiki.problem, wiki.resource.spec.replicas) == ("", 3)

    sync(whole(manifest("files"), manifest("wiki")), objects, SOURCE, NOW)
    assert stored(objects, "files").problem == ""


def test_only_the_bad_manifest_of_a_file_is_marked(objects: ObjectStore) -> None:
    both = [manifest(name, file="all.yaml") for name in ("files", "wiki")]
    sync(whole(*both), objects, SOURCE, NOW)
    sync(broken(both[0], file="all.yaml"), objects, SOURCE, NOW)
    assert stored(objects, "files").problem == ""
    assert stored(objects, "wiki").problem != ""


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (Problem(ROOT, 0, 0, "", "cannot be listed: Permission denied"), "cannot be listed"),
        (
            Problem(
                ROOT / "z.yaml", 3, 17, "metadata.name", f"files is already defined at {ROOT}/files.yaml:3:17"
            ),
            "z.yaml:3:17: metadata.name: files is already defined",
        ),
        (Problem(ROOT / "other.yaml", 1, 1, "", "is bad"), "holds it no longer, but could not be read whole"),
    ],
    ids=["unreadable directory", "other side of a conflict", "something else"],
)
def test_a_name_that_is_missing_while_there_are_problems_is_never_deleted(
    objects: ObjectStore, problem: Problem, says: str
) -> None:
    sync(whole(manifest("files"), manifest("wiki")), objects, SOURCE, NOW)
    loaded = Loaded((manifest("wiki"),), (problem,), complete=False)
    sync(loaded, objects, SOURCE, NOW, allow_empty=True)
    files = stored(objects, "files")
    assert files.deletion is None
    assert says in files.problem
    assert problem.message in files.problem


def test_nothing_is_said_of_what_is_missing_while_the_source_is_written(objects: ObjectStore) -> None:
    sync(whole(manifest("files"), manifest("wiki")), objects, SOURCE, NOW)
    done = sync(Loaded((manifest("wiki"),), (), complete=False), objects, SOURCE, NOW)
    assert names(done) == ("wiki",)
    assert (stored(objects, "files").problem, stored(objects, "files").deletion) == ("", None)


def test_one_that_is_gone_is_deleted_without_its_volumes(objects: ObjectStore) -> None:
    sync(whole(manifest("files"), manifest("wiki")), objects, SOURCE, NOW)
    done = sync(whole(manifest("wiki")), objects, SOURCE, NOW)
    assert names(done) == ("files", "wiki")
    assert stored(objects, "files").deletion == Deletion(volumes=False, requested_at=NOW)
    assert names(sync(whole(manifest("wiki")), objects, SOURCE, NOW)) == ("wiki",)


def test_an_orphan_is_let_go_and_still_due_for_a_pass(objects: ObjectStore) -> None:
    sync(whole(manifest("files", ", deletionPolicy: Orphan"), manifest("wiki")), objects, SOURCE, NOW)
    run = objects.directory("files") / "run"
    run.mkdir()
    done = sync(whole(manifest("wiki")), objects, SOURCE, NOW)
    assert names(done) == ("files", "wiki")
    assert objects.names() == ("wiki",)
    assert run.exists()


@pytest.mark.parametrize(
    ("left", "options", "deleted", "says"),
    [
        (["a", "b", "c"], {}, 0, ""),
        (["a", "b"], {}, 1, ""),
        (["a"], {}, 0, "/srv/manifests has lost 2 services at once"),
        (["a"], {"max_prune": 2}, 2, ""),
        (["a"], {"allow_empty": True}, 2, ""),
        ([], {}, 0, "/srv/manifests has lost all its services"),
        ([], {"max_prune": 9}, 0, "/srv/manifests has lost all its services"),
        ([], {"allow_empty": True}, 3, ""),
    ],
)
def test_much_at_once_is_deleted_only_when_that_is_allowed(
    objects: ObjectStore, left: list[str], options: dict[str, Any], deleted: int, says: str
) -> None:
    sync(whole(*map(manifest, "abc")), objects, SOURCE, NOW)
    sync(whole(*map(manifest, left)), objects, SOURCE, NOW, **options)
    gone = [stored(objects, name) for name in "abc" if name not in left]
    assert sum(each.deletion is not None for each in gone) == deleted
    for each in gone:
        assert each.problem.startswith(says)
        assert bool(each.problem) == bool(says)
        if says:
            assert f"run: vaultctl delete {' '.join(other.name for other in gone)}" in each.problem


def test_the_only_service_is_not_deleted_by_an_empty_source(objects: ObjectStore) -> None:
    sync(whole(manifest("files")), objects, SOURCE, NOW)
    sync(whole(), objects, SOURCE, NOW)
    assert stored(objects, "files").deletion is None
    assert "all its services" in stored(objects, "files").problem


def test_objects_of_others_are_left_alone(objects: ObjectStore) -> None:
    objects.apply(service_of(manifest("byhand")), Origin("apply", str(ROOT), ROOT / "byhand.yaml", 1))
    sync(whole(manifest("theirs")), objects, Place("/elsewhere"), NOW)
    done = sync(whole(manifest("files")), objects, SOURCE, NOW, allow_empty=True)
    assert names(done) == ("files",)
    for name in ("byhand", "theirs"):
        assert (stored(objects, name).deletion, stored(objects, name).problem) == (None, "")


def test_a_source_takes_over_from_one_that_is_no_longer_used(objects: ObjectStore) -> None:
    sync(whole(manifest("files")), objects, Place("/elsewhere"), NOW)
    done = sync(whole(manifest("files", ", replicas: 2")), objects, SOURCE, NOW, rivals=[Place("/third")])
    assert done.failures == {}
    assert stored(objects, "files").origin.place == str(ROOT)


def test_two_sources_do_not_write_one_object_in_turn(objects: ObjectStore) -> None:
    rival = Place("/elsewhere")
    sync(whole(manifest("files", root=Path("/elsewhere"))), objects, rival, NOW)
    everybody = [SOURCE, rival]
    for _ in range(2):
        done = sync(whole(manifest("files", ", replicas: 2")), objects, SOURCE, NOW, rivals=everybody)
        error = done.failures[Ref(VAULT_SERVICE, "files")]
        assert isinstance(error, PermanentError)
        assert "/srv/manifests/files.yaml:1: files already comes from /elsewhere/files.yaml:1" in str(error)
        done = sync(whole(manifest("files", root=Path("/elsewhere"))), objects, rival, NOW, rivals=everybody)
        assert done.failures == {}
    assert stored(objects, "files").resource.metadata.generation == 1


def test_what_is_being_deleted_is_stored_by_a_later_sync(objects: ObjectStore) -> None:
    sync(whole(manifest("files"), manifest("wiki")), objects, SOURCE, NOW)
    objects.request_deletion("files", False, NOW)
    done = sync(whole(manifest("files"), manifest("wiki", ", replicas: 2")), objects, SOURCE, NOW)
    assert isinstance(done.failures[Ref(VAULT_SERVICE, "files")], TemporaryError)
    assert "files" in names(done)
    assert stored(objects, "wiki").resource.spec.replicas == 2
    objects.remove("files")
    assert sync(whole(manifest("files"), manifest("wiki")), objects, SOURCE, NOW).failures == {}
    assert stored(objects, "files").deletion is None


def test_a_damaged_object_stops_no_other_and_is_mended_by_its_manifest(objects: ObjectStore) -> None:
    sync(whole(manifest("files"), manifest("wiki")), objects, SOURCE, NOW)
    (objects.directory("files") / "object.json").write_text("{")
    done = sync(whole(manifest("wiki", ", replicas: 2")), objects, SOURCE, NOW)
    assert isinstance(done.failures[Ref(VAULT_SERVICE, "files")], PermanentError)
    assert stored(objects, "wiki").resource.spec.replicas == 2
    done = sync(whole(manifest("files"), manifest("wiki")), objects, SOURCE, NOW, rivals=[Place("/other")])
    assert done.failures == {}
    assert stored(objects, "files").problem == ""


NAMES = st.sets(st.sampled_from("abcdef"))
LOADS = st.lists(st.tuples(NAMES, NAMES, st.booleans()), max_size=8)


@settings(deadline=None, max_examples=50)  # each example writes through to the disk
@given(LOADS, st.integers(0, 3))
def test_no_history_of_loads_deletes_more_at_once_than_allowed(
    tmp_path_factory: pytest.TempPathFactory, loads: list[tuple[set[str], set[str], bool]], max_prune: int
) -> None:
    objects = ObjectStore(tmp_path_factory.mktemp("state"))
    for good, bad, complete in loads:
        before = {name: stored(objects, name) for name in objects.names()}
        problems = tuple(Problem(ROOT / f"{name}.yaml", 1, 1, "", "is bad") for name in sorted(bad - good))
        loaded = replace(
            whole(*(manifest(name) for name in sorted(good))),
            problems=problems,
            complete=complete and not problems,
        )
        done = sync(loaded, objects, SOURCE, NOW, max_prune=max_prune)
        after = {name: stored(objects, name) for name in objects.names()}
        doomed = {name for name, each in after.items() if each.deletion and not before[name].deletion}
        # No object disappears, every good manifest is stored, and only what a whole source lacks is deleted.
        assert set(after) == set(before) | good
        assert doomed.isdisjoint(good | bad)
        assert len(doomed) <= (max_prune if loaded.complete and good else 0)
        assert good <= set(names(done))
        for name in set(names(done)) - good:
            assert after[name].deletion or after[name].problem


def test_a_file_of_others_hides_only_what_came_from_it(objects: ObjectStore) -> None:
    """A deletion is followed beside it; an object whose own file says nothing clear any more goes on, with the reason."""
    sync(whole(manifest("files"), manifest("wiki"), manifest("stays")), objects, SOURCE, NOW)
    doubts = (
        Problem(ROOT / "wiki.yaml", 1, 1, "", "is no VaultService"),
        Problem(ROOT / "x.yml", 0, 0, "", "?"),
    )
    sync(replace(whole(manifest("stays")), doubts=doubts), objects, SOURCE, NOW)
    assert stored(objects, "files").deletion is not None
    kept = stored(objects, "wiki")
    assert kept.deletion is None
    assert f"{ROOT}/wiki.yaml:1:1: is no VaultService" in kept.problem
    assert "x.yml" not in kept.problem
