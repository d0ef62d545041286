"""A change is a value: the same one is made in a file, in the store or not at all. In Git: tests/cli/test_edits.py."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler import files
from reconciler.api import VaultError, VaultService, load
from reconciler.app.changes import scale, start, stop
from reconciler.app.editing import How, edit
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.stored import service_of

MakeService = Callable[..., VaultService]
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def how(tmp_path: Path) -> How:
    return How(tmp_path, {"PATH": "/usr/bin:/bin"})


def test_what_came_from_standard_input_is_changed_in_the_store(
    objects: ObjectStore, make_service: MakeService, origin: Origin, how: How
) -> None:
    stored = objects.apply(make_service(replicas=2), origin)
    edited = edit(objects, stored, scale("files", 5), how, NOW)
    assert (edited.path, edited.commit, edited.pushed) == (None, "", False)
    assert "+  replicas: 5" in edited.difference
    after = objects.get("files")
    assert after is not None
    assert (after.resource.spec.replicas, after.generation, after.requested_at) == (5, 2, NOW.isoformat())


def test_a_file_is_changed_and_what_was_applied_from_it_is_stored(
    objects: ObjectStore, manifest: Callable[..., Path], how: How
) -> None:
    path = manifest(replicas="2", ports="{http: 8080}")
    (read,) = load(path)
    stored = objects.apply(service_of(read), Origin("apply", str(path), path, 1))
    edited = edit(objects, stored, scale("files", 5), how, NOW)
    assert edited.path == path
    assert load(path)[0].resource.spec.replicas == 5
    after = objects.get("files")
    assert after is not None
    assert after.resource.spec.replicas == 5


def test_a_file_that_cannot_be_written_is_told(
    objects: ObjectStore, manifest: Callable[..., Path], how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a directory that is mounted read-only; root may write into any other."""
    path = manifest(replicas="2", ports="{http: 8080}")
    before = path.read_text()
    (read,) = load(path)
    stored = objects.apply(service_of(read), Origin("directory", str(path.parent), path, 1))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(files, "replace", refuse)
    with pytest.raises(VaultError, match=f"{path} cannot be written: {os.strerror(errno.EROFS)}"):
        edit(objects, stored, scale("files", 5), how, NOW)
    assert path.read_text() == before


def test_what_is_so_already_changes_nothing(
    objects: ObjectStore, make_service: MakeService, origin: Origin, how: How
) -> None:
    stored = objects.apply(make_service(replicas=5), origin)
    assert edit(objects, stored, scale("files", 5), how, NOW).difference == ""
    assert objects.get("files") == stored


def test_a_dry_run_tells_the_difference_and_writes_nothing(
    objects: ObjectStore, make_service: MakeService, origin: Origin, how: How
) -> None:
    stored = objects.apply(make_service(replicas=2), origin)
    dry = How(how.here, how.environ, dry_run=True)
    assert "+  replicas: 5" in edit(objects, stored, scale("files", 5), dry, NOW).difference
    assert objects.get("files") == stored


def test_a_source_whose_file_is_gone_has_no_place_for_a_change(
    objects: ObjectStore, make_service: MakeService, how: How, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.yaml"
    stored = objects.apply(make_service(), Origin("directory", str(tmp_path), gone, 1))
    with pytest.raises(VaultError, match=r"gone\.yaml is gone, which files comes from"):
        edit(objects, stored, scale("files", 5), how, NOW)


@pytest.mark.parametrize("replicas", ["2", None])
def test_a_start_takes_back_what_a_stop_has_written(
    objects: ObjectStore, manifest: Callable[..., Path], how: How, replicas: str | None
) -> None:
    path = manifest(ports="{http: 8080}", **({"replicas": replicas} if replicas else {}))
    before = load(path)[0].resource
    stored = objects.apply(service_of(load(path)[0]), Origin("apply", str(path), path, 1))
    edit(objects, stored, stop(stored), how, NOW)
    stopped = objects.get("files")
    assert stopped is not None
    assert stopped.resource.spec.replicas == load(path)[0].resource.spec.replicas == 0
    edit(objects, stopped, start(stopped), how, NOW)
    started = objects.get("files")
    assert started is not None
    assert started.resource.spec == stored.resource.spec
    assert load(path)[0].resource == before


def test_what_is_in_the_store_only_is_stopped_there(
    objects: ObjectStore, make_service: MakeService, origin: Origin, how: How
) -> None:
    stored = objects.apply(make_service(replicas=2), origin)
    edit(objects, stored, stop(stored), how, NOW)
    stopped = objects.get("files")
    assert stopped is not None
    edit(objects, stopped, start(stopped), how, NOW)
    started = objects.get("files")
    assert started is not None
    assert (stopped.resource.spec.replicas, started.resource.spec.replicas) == (0, 2)
