"""Metadata of API clients survives manifests, and their finalizers hold a deletion; a write is for one version only."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api import VaultService
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import VaultGateway
from reconciler.store.base import ApiMetadata, ChangedError, Deletion, Origin, StoredObject
from reconciler.store.objects import ObjectStore

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
ORIGIN = Origin("apply", "test.yaml", Path("/manifests/test.yaml"), 1)
BACKUP = ApiMetadata(("example.com/backup",))
Written = Callable[..., VaultService]


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "state")


def found(objects: ObjectStore) -> StoredObject:
    stored = objects.get("a")
    assert stored is not None
    return stored


def test_a_manifest_keeps_what_clients_set(objects: ObjectStore, written: Written) -> None:
    objects.write(written("a"), ORIGIN, BACKUP, None)
    objects.apply(written("a", "replicas: 2"), ORIGIN)
    assert found(objects).api == BACKUP
    assert found(objects).generation == 2


def test_a_deletion_waits_for_the_last_finalizer(objects: ObjectStore, written: Written) -> None:
    objects.write(written("a"), ORIGIN, BACKUP, None)
    objects.request_deletion("a", volumes=False, now=NOW)
    waiting = found(objects)
    assert waiting.deletion is None
    assert waiting.api is not None
    assert waiting.api.deletion is not None
    objects.write(waiting.resource, ORIGIN, ApiMetadata(deletion=waiting.api.deletion), waiting)
    assert found(objects).deletion == waiting.api.deletion


def test_a_client_s_deletion_that_waits_for_others_is_taken_back_for_good(tmp_path: Path) -> None:
    gateways = ObjectStore(tmp_path / "state").of(VAULT_GATEWAY)
    gateway = VaultGateway.model_validate({"metadata": {"name": "main"}})
    stored = gateways.write(gateway, ORIGIN, ApiMetadata(deletion=Deletion(False, NOW)), None)
    assert stored.deletion is not None
    back = gateways.apply(gateway, ORIGIN)
    assert back.deletion is None
    assert back.api is not None
    assert gateways.write(gateway, ORIGIN, back.api, back).deletion is None


def test_volumes_that_are_asked_for_while_it_waits_are_not_forgotten(
    objects: ObjectStore, written: Written
) -> None:
    objects.write(written("a"), ORIGIN, BACKUP, None)
    objects.request_deletion("a", volumes=True, now=NOW)
    objects.request_deletion("a", volumes=False, now=NOW)
    waiting = found(objects)
    assert waiting.api is not None
    objects.write(waiting.resource, ORIGIN, ApiMetadata(deletion=waiting.api.deletion), waiting)
    deletion = found(objects).deletion
    assert deletion is not None
    assert deletion.volumes


def test_a_write_does_not_take_back_a_deletion(objects: ObjectStore, written: Written) -> None:
    objects.apply(written("a"), ORIGIN)
    objects.request_deletion("a", volumes=False, now=NOW)
    objects.write(written("a", "replicas: 2"), ORIGIN, ApiMetadata(), found(objects))
    assert found(objects).deletion is not None
    assert found(objects).resource.spec.replicas == 2


def test_a_write_for_another_version_is_refused_and_changes_nothing(
    objects: ObjectStore, written: Written
) -> None:
    before = objects.apply(written("a"), ORIGIN)
    objects.apply(written("a", "replicas: 2"), ORIGIN)
    for known in (before, None):
        with pytest.raises(ChangedError):
            objects.write(written("a", "replicas: 9"), ORIGIN, ApiMetadata(), known)
    assert found(objects).resource.spec.replicas == 2


def test_without_such_metadata_the_file_is_as_former_releases_write_it(
    objects: ObjectStore, written: Written
) -> None:
    objects.write(written("a"), ORIGIN, ApiMetadata(), None)
    path = objects.directory("a") / "object.json"
    assert "api" not in json.loads(path.read_text())


def test_a_former_release_ignores_it(objects: ObjectStore, written: Written) -> None:
    """It reads the same with a field that it does not know, as this one does with one of a later release."""
    objects.apply(written("a"), ORIGIN)
    path = objects.directory("a") / "object.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "laterField": {"a": 1}}))
    assert found(objects).resource.spec.plugin == "whoami"


def test_evictions_of_containers_that_are_gone_are_forgotten(objects: ObjectStore, written: Written) -> None:
    objects.apply(written("a"), ORIGIN)
    objects.request_eviction("a", "first", ["first", "second"], NOW)
    objects.request_eviction("a", "second", ["first", "second"], NOW)
    assert found(objects).evicted == {"first": NOW, "second": NOW}
    objects.apply(written("a", "replicas: 2"), ORIGIN)
    assert found(objects).evicted == {"first": NOW, "second": NOW}
    objects.request_eviction("a", "third", ["second", "third"], NOW)
    assert set(found(objects).evicted or ()) == {"second", "third"}
    objects.request_eviction("never", "third", [], NOW)
    assert objects.names() == ("a",)
