from __future__ import annotations

import json
import logging
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.api import (
    Condition,
    PermanentError,
    ReplicaCounts,
    Status,
    TemporaryError,
    VaultService,
    parse,
    set_condition,
)
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.reasons import Reason
from reconciler.api.vaultgateway import VaultGateway
from reconciler.store import files
from reconciler.store.base import BELL, Deletion, Origin, UnreadableError, readable
from reconciler.store.layout import COPY, OBJECT
from reconciler.store.objects import ObjectStore
from tests.stored import service_of

Written = Callable[..., VaultService]

ORIGIN = Origin("directory", "/srv/manifests", Path("/srv/manifests/files.yaml"), 3)


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "state")


def test_there_is_nothing_at_first(objects: ObjectStore, now: datetime) -> None:
    assert objects.names() == ()
    assert objects.get("files") is None
    assert objects.status("files") == Status()
    objects.mark_problem("files", "nobody to tell")
    objects.request_deletion("files", True, now)
    objects.remove("files")
    objects.orphan("files")
    assert not objects.directory("files").exists()


def test_what_was_applied_is_read_again_by_another_process(
    objects: ObjectStore, tmp_path: Path, written: Written
) -> None:
    service = written(
        "files",
        "replicas: 3",
        "env: {PASSWORD: 'pa$$ w\\\"ord', EMPTY: ''}",
        "strategy: {rollingUpdate: {maxSurge: 25%}, drainSeconds: 2.5}",
        "rotation: {interval: 90s, jitter: 20%}",
        "restartedAt: 2026-05-01T12:00:00+02:00",
        labels="{team: web}",
    )
    stored = objects.apply(service, ORIGIN)
    again = ObjectStore(tmp_path / "state")
    assert again.get("files") == stored
    assert (stored.resource, stored.origin, stored.deletion, stored.problem) == (service, ORIGIN, None, "")
    assert again.names() == ("files",)


def test_only_the_owner_can_read_objects_and_everybody_can_pass_to_what_is_mounted(
    objects: ObjectStore, tmp_path: Path, written: Written
) -> None:
    objects.apply(written("files"), ORIGIN)
    objects.put_status("files", Status(observed_generation=1))
    directory = objects.directory("files")
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "state", directory.parent, directory, *directory.iterdir())
    }
    assert modes == {
        "state": 0o711,
        "services": 0o711,
        "files": 0o711,
        "object.json": 0o600,
        "object.copy.json": 0o600,
        "status.json": 0o600,
        ".object.lock": 0o600,
    }


Change = tuple[int, str, str]


@settings(deadline=None, max_examples=50)  # each example writes through to the disk
@given(st.lists(st.tuples(st.integers(1, 2), st.sampled_from("ab"), st.sampled_from("ab")), min_size=1))
def test_the_generation_counts_changes_of_the_spec_and_of_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, changes: list[Change]
) -> None:
    objects = ObjectStore(tmp_path_factory.mktemp("state"))
    expected, last = 0, None
    for replicas, label, commit in changes:
        text = (
            "apiVersion: vault.internal/v1alpha1\nkind: VaultService\n"
            f"metadata: {{name: files, generation: 77, labels: {{team: {label}}}, annotations: {{note: {label}}}}}\n"
            f"spec: {{plugin: whoami, replicas: {replicas}}}\n"
        )
        service = service_of(parse(text, Path("files.yaml"))[0])
        expected += replicas != last
        last = replicas
        stored = objects.apply(service, Origin("git", "repository", Path("/git/files.yaml"), 1, commit))
        assert stored.resource.metadata.generation == expected
        assert stored.origin.commit == commit
        assert objects.get("files") == stored


def test_applying_the_same_again_writes_nothing(objects: ObjectStore, written: Written) -> None:
    objects.apply(written("files"), ORIGIN)
    path = objects.directory("files") / "object.json"
    before = path.stat()
    objects.apply(written("files"), ORIGIN)
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ("/srv/manifests/files.yaml", "/srv/manifests/secrets/files.env"),
        ("files.yaml", f"{Path.cwd()}/secrets/files.env"),
    ],
)
def test_files_of_settings_become_absolute(
    objects: ObjectStore, written: Written, manifest: str, expected: str
) -> None:
    service = written("files", "envFrom: [{file: secrets/files.env}, {file: /etc/files.env}]")
    stored = objects.apply(service, Origin("apply", manifest, Path(manifest), 1))
    assert [each.file for each in stored.resource.spec.env_from] == [expected, "/etc/files.env"]


def test_a_path_that_gets_too_long_is_refused_with_its_place(objects: ObjectStore, written: Written) -> None:
    service = written("files", f"envFrom: [{{file: {'x' * 1000}}}]")
    origin = Origin("apply", "long", Path("/srv") / ("y" * 100) / "files.yaml", 4)
    with pytest.raises(
        PermanentError, match=r"files\.yaml:4: the path of spec\.envFrom\[0\]\.file is too long"
    ):
        objects.apply(service, origin)
    assert objects.names() == ()


def test_a_problem_stays_beside_the_last_good_spec_until_the_next_apply(
    objects: ObjectStore, written: Written
) -> None:
    good = objects.apply(written("files", "replicas: 2"), ORIGIN)
    objects.mark_problem("files", "files.yaml:3:1: spec.replica: is not a known field")
    marked = objects.get("files")
    assert marked is not None
    assert marked.problem == "files.yaml:3:1: spec.replica: is not a known field"
    assert marked.resource == good.resource
    assert objects.apply(written("files", "replicas: 2"), ORIGIN) == good


def test_a_deletion_waits_for_its_pass_and_can_only_grow(
    objects: ObjectStore, written: Written, now: datetime
) -> None:
    applied = objects.apply(written("files"), ORIGIN)
    for volumes, expected in ((False, False), (True, True), (False, True)):
        objects.request_deletion("files", volumes, now + timedelta(seconds=expected))
        stored = objects.get("files")
        assert stored is not None
        assert stored.deletion == Deletion(expected, now)
        assert stored.resource == applied.resource


def test_a_service_that_is_being_deleted_takes_no_apply(
    objects: ObjectStore, written: Written, now: datetime
) -> None:
    objects.apply(written("files"), ORIGIN)
    objects.request_deletion("files", False, now)
    with pytest.raises(TemporaryError, match="files is being deleted: apply it again when it is gone"):
        objects.apply(written("files"), ORIGIN)
    objects.remove("files")
    assert objects.apply(written("files"), ORIGIN).deletion is None


def test_a_deletion_that_waits_for_others_is_taken_back(objects: ObjectStore, now: datetime) -> None:
    gateways = objects.of(VAULT_GATEWAY)
    gateway = VaultGateway.model_validate({"metadata": {"name": "main"}})
    gateways.apply(gateway, ORIGIN)
    gateways.request_deletion("main", False, now)
    back = gateways.apply(gateway, ORIGIN)
    assert (back.deletion, back.generation) == (None, 1)
    # A pass that has found the deletion must not remove what was applied since.
    gateways.remove("main")
    assert gateways.get("main") == back
    gateways.request_deletion("main", False, now)
    gateways.remove("main")
    assert gateways.names() == ()


def test_what_can_no_longer_be_read_is_kept(objects: ObjectStore, written: Written, now: datetime) -> None:
    applied = objects.apply(written("files"), ORIGIN)
    assert objects.kept("files") == applied
    objects.request_deletion("files", False, now)
    last = objects.get("files")
    path = objects.directory("files") / OBJECT
    for damage in (b"", b"{", b'{"service": {}}', path.read_bytes()[:-9]):
        path.write_bytes(damage)
        with pytest.raises(UnreadableError):
            objects.get("files")
        found = readable(objects, "files")
        assert found is not None
        assert last is not None
        assert (found.resource, found.deletion) == (last.resource, last.deletion)
        assert found.problem_reason == Reason.OBJECT_UNREADABLE
        assert "object.json cannot be understood" in found.problem
    (objects.directory("files") / COPY).write_bytes(b"{")
    assert objects.kept("files") is None
    with pytest.raises(UnreadableError):
        readable(objects, "files")
    objects.orphan("files")
    assert objects.kept("files") is None


def test_what_a_former_release_has_written_is_kept_from_the_first_start_on(
    objects: ObjectStore, written: Written
) -> None:
    applied = objects.apply(written("files"), ORIGIN)
    directory = objects.directory("files")
    (directory / COPY).unlink()
    objects.keep("files")
    assert objects.kept("files") == applied

    # A copy is the last that could be read, whatever happens to the object.
    (directory / OBJECT).write_text("{")
    objects.keep("files")
    assert objects.kept("files") == applied
    (directory / COPY).unlink()
    objects.keep("files")
    assert objects.kept("files") is None


def fill(objects: ObjectStore, name: str) -> Path:
    directory = objects.directory(name)
    objects.put_status(name, Status(observed_generation=4))
    (directory / "haproxy" / "errors").mkdir(parents=True)
    (directory / "haproxy" / "haproxy.cfg").touch()
    (directory / "run").mkdir()
    (directory / "compose.yaml").touch()
    return directory


def test_removing_takes_every_file_of_the_service_and_no_other(
    objects: ObjectStore, written: Written
) -> None:
    objects.apply(written("files"), ORIGIN)
    objects.apply(written("wiki"), ORIGIN)
    directory = fill(objects, "files")
    objects.remove("files")
    assert not directory.exists()
    assert objects.names() == ("wiki",)
    assert objects.apply(written("files"), ORIGIN).resource.metadata.generation == 1


def test_a_removal_that_fails_half_way_leaves_the_object_to_try_again(
    objects: ObjectStore, written: Written, mount: Callable[[int], Path], now: datetime
) -> None:
    objects.apply(written("files"), ORIGIN)
    objects.request_deletion("files", False, now)
    directory = fill(objects, "files")
    busy = directory / "run" / "busy"
    busy.mkdir()
    disk = mount(64)
    subprocess.run(["mount", "--bind", str(disk), str(busy)], timeout=10, check=True)
    try:
        with pytest.raises(TemporaryError, match=f"cannot remove {busy.parent}: Device or resource busy"):
            objects.remove("files")
        stored = objects.get("files")
        assert stored is not None
        assert stored.deletion is not None
    finally:
        subprocess.run(["umount", str(busy)], timeout=10, check=True)
    objects.remove("files")
    assert not directory.exists()


def test_orphaning_leaves_what_the_containers_use(objects: ObjectStore, written: Written) -> None:
    objects.apply(written("files"), ORIGIN)
    directory = fill(objects, "files")
    objects.orphan("files")
    assert objects.names() == ()
    assert objects.status("files") == Status()
    assert {path.name for path in directory.iterdir()} == {".object.lock", "haproxy", "run", "compose.yaml"}


def test_a_rule_that_came_later_does_not_take_what_was_accepted_before(
    objects: ObjectStore, written: Written
) -> None:
    objects.apply(written("files"), ORIGIN)
    path = objects.directory("files") / "object.json"
    document = json.loads(path.read_text())
    document["service"]["spec"]["strategy"] |= {"minReadySeconds": 12, "progressDeadlineSeconds": 6}
    path.write_text(json.dumps(document))
    stored = objects.get("files")
    assert stored is not None
    assert stored.resource.spec.strategy.min_ready_seconds == 12


FORMER = """\
{
  "service": {
    "apiVersion": "vault.internal/v1alpha1",
    "kind": "VaultService",
    "metadata": {"name": "files", "labels": {"team": "a"}, "annotations": {}, "generation": 4},
    "spec": {"plugin": "whoami", "replicas": 3, "envFrom": [{"file": "/etc/files.env"}]}
  },
  "origin": {"kind": "git", "place": "infra#main", "manifest": "/state/git/files.yaml", "line": 3, "commit": "main@1"},
  "problem": "",
  "problem_reason": "InvalidManifest",
  "requested_at": "2026-05-01T12:00:00"
}
"""


@pytest.mark.parametrize("in_another_order", [False, True])
def test_the_objects_of_a_former_release_are_read_and_stay_readable_for_it(
    objects: ObjectStore, tmp_path: Path, in_another_order: bool
) -> None:
    document = json.loads(FORMER)
    path = tmp_path / "state" / "services" / "files" / "object.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(dict(reversed(document.items()))) if in_another_order else FORMER)
    stored = objects.get("files")
    assert stored is not None
    assert (stored.generation, stored.resource.spec.replicas) == (4, 3)
    assert (stored.origin.commit, stored.requested_at) == ("main@1", "2026-05-01T12:00:00")
    again = objects.apply(stored.resource, stored.origin, requested_at="later")
    assert again.generation == 4
    written = json.loads(path.read_text())
    assert written.keys() == document.keys()
    assert written["service"]["metadata"] == document["service"]["metadata"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"service": {"metadata": {"name": "files"}}}', "\0"])
def test_a_damaged_object_is_named_does_not_disturb_others_and_is_mended_by_an_apply(
    objects: ObjectStore, written: Written, content: str
) -> None:
    objects.apply(written("wiki"), ORIGIN)
    objects.apply(written("files"), ORIGIN)
    objects.put_status("files", Status(observed_generation=6))
    path = objects.directory("files") / "object.json"
    path.write_text(content)
    with pytest.raises(PermanentError, match=f"{path} cannot be understood .*: apply the manifest again"):
        objects.get("files")
    assert objects.get("wiki") is not None
    assert objects.names() == ("files", "wiki")
    # The status of generation 6 must not count as one of the new object.
    assert objects.apply(written("files"), ORIGIN).resource.metadata.generation == 7
    assert objects.get("files") is not None


def test_an_error_about_a_damaged_object_shows_none_of_its_values(
    objects: ObjectStore, written: Written
) -> None:
    objects.apply(written("files", "env: {PASSWORD: hunter2}"), ORIGIN)
    path = objects.directory("files") / "object.json"
    document = json.loads(path.read_text())
    document["service"]["spec"]["env"] = "hunter2"
    path.write_text(json.dumps(document))
    with pytest.raises(PermanentError) as caught:
        objects.get("files")
    assert "env" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "..", "../files", "a/b", "Files", "a\0", "-a", "x" * 41])
def test_a_name_cannot_leave_its_directory(objects: ObjectStore, name: str) -> None:
    with pytest.raises(PermanentError, match="cannot be the name of a VaultService: it must be 1 to 40"):
        objects.get(name)


def test_a_status_comes_back_as_it_was_put_and_is_written_only_when_it_differs(
    objects: ObjectStore, written: Written, now: datetime
) -> None:
    status = Status(
        observed_generation=2,
        replicas=ReplicaCounts(desired=3, serving=2),
        conditions=set_condition((), Condition(type="Ready", status="False", reason="Starting"), now),
        next_rotation=now.replace(microsecond=0),
    )
    objects.put_status("files", status)
    assert not objects.directory("files").exists()
    objects.apply(written("files"), ORIGIN)
    objects.put_status("files", status)
    path = objects.directory("files") / "status.json"
    inode = path.stat().st_ino
    seen = objects.status("files")
    assert seen.to_document() == status.to_document()
    objects.put_status("files", seen)
    assert path.stat().st_ino == inode
    objects.put_status("files", Status(observed_generation=3))
    assert objects.status("files").observed_generation == 3


def test_a_damaged_status_is_an_empty_one(
    objects: ObjectStore, written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    objects.apply(written("files"), ORIGIN)
    path = objects.directory("files") / "status.json"
    path.write_text('{"observedGeneration": "many"}')
    with caplog.at_level(logging.WARNING):
        assert objects.status("files") == Status()
    assert str(path) in caplog.text


def test_a_full_disk_names_the_object_and_the_old_one_stays(
    mount: Callable[[int], Path], written: Written
) -> None:
    objects = ObjectStore(mount(64))
    before = objects.apply(written("files"), ORIGIN)
    with pytest.raises(TemporaryError, match=r"object\.json: No space left on device"):
        objects.apply(written("files", f"env: {{LARGE: {'x' * 100_000}}}"), ORIGIN)
    assert objects.get("files") == before


WRITER = """
import sys
from pathlib import Path
from reconciler.api import parse
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.stored import service_of
state, first = Path(sys.argv[1]), int(sys.argv[2])
for replicas in range(first, first + 25):
    text = "apiVersion: vault.internal/v1alpha1\\nkind: VaultService\\nmetadata: {name: files}\\n"
    manifest = parse(text + f"spec: {{plugin: whoami, replicas: {replicas}}}", Path("files.yaml"))[0]
    ObjectStore(state).apply(manifest.resource, Origin("apply", "files.yaml", manifest.path, manifest.line))
"""


def test_no_change_of_several_processes_is_lost(objects: ObjectStore, tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "state"), str(first)])
        for first in (1, 101, 201)
    ]
    # A reader beside them sees whole objects only, or `get` would raise.
    deadline = time.monotonic() + 180
    while any(writer.poll() is None for writer in writers) and time.monotonic() < deadline:
        objects.get("files")
    assert [writer.wait(1) for writer in writers] == [0, 0, 0]
    stored = objects.get("files")
    assert stored is not None
    assert stored.resource.metadata.generation == 75


def test_every_change_of_an_object_rings_the_bell(
    objects: ObjectStore, tmp_path: Path, written: Written, now: datetime
) -> None:
    bell = tmp_path / "state" / "services" / BELL
    objects.apply(written("files", "replicas: 3"), ORIGIN)
    assert bell.exists()
    for change in (
        lambda: objects.apply(written("files", "replicas: 5"), ORIGIN),
        lambda: objects.mark_problem("files", "broken"),
        lambda: objects.request_deletion("files", False, now),
    ):
        bell.unlink()
        change()
        assert bell.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda objects, service: objects.apply(service("other"), ORIGIN),
        lambda objects, service: objects.apply(service("files", "replicas: 2"), ORIGIN),
        lambda objects, service: objects.request_deletion("files", False, datetime.now(UTC)),
        lambda objects, service: objects.remove("files"),
        lambda objects, service: objects.orphan("files"),
    ],
    ids=["come", "change", "deletion", "gone", "orphaned"],
)
def test_every_change_of_an_object_is_in_the_stamp(
    objects: ObjectStore,
    written: Written,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[ObjectStore, Written], object],
) -> None:
    monkeypatch.setattr(files, "SETTLED_NS", 0)
    objects.apply(written("files"), ORIGIN)
    before = objects.stamp()
    objects.put_status("files", Status(observed_generation=1))
    assert before is not None
    assert objects.stamp() == before
    time.sleep(0.02)
    change(objects, written)
    assert objects.stamp() != before


def test_there_is_no_stamp_just_after_a_change(objects: ObjectStore, written: Written) -> None:
    objects.apply(written("files"), ORIGIN)
    assert objects.stamp() is None


def test_which_of_two_was_applied_first(objects: ObjectStore, written: Written) -> None:
    for name in ("old", "new"):
        objects.apply(written(name), ORIGIN)
    assert objects.precedes("old", "new")
    assert not objects.precedes("new", "old")
    assert objects.precedes("new", "not-applied")
    assert not objects.precedes("not-applied", "new")
    assert not objects.precedes("x" * 300, "new")


@pytest.mark.parametrize("end", [ObjectStore.remove, ObjectStore.orphan])
def test_of_an_object_that_is_gone_nothing_stays_in_memory(
    objects: ObjectStore, written: Written, end: Callable[[ObjectStore, str], None]
) -> None:
    objects.apply(written("files"), ORIGIN)
    objects.put_status("files", Status(observed_generation=1))
    assert objects.get("files")
    assert objects.status("files").observed_generation == 1
    end(objects, "files")
    assert not objects._parsed._known
    assert not objects._statuses._known
