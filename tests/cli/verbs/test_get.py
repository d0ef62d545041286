"""`get`: tables for people, documents for programs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from reconciler.api import ReplicaCounts, Status, VaultService, parse
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.stored import service_of

Vaultctl = Callable[..., Result]
MakeService = Callable[..., VaultService]
MakeStatus = Callable[..., Status]


@pytest.fixture
def two(
    objects: ObjectStore, make_service: MakeService, make_status: MakeStatus, origin: Origin
) -> ObjectStore:
    objects.apply(make_service("files", replicas=3), origin)
    objects.apply(make_service("wiki", ports={"http": 8081}), origin)
    counts = ReplicaCounts(desired=3, current=3, updated=3, ready=3, serving=2)
    status = make_status(Ready=("False", "Progressing", "files-web-3 is starting"))
    objects.put_status("files", status.model_copy(update={"replicas": counts, "revision": "v1-abc"}))
    return objects


def test_nothing_yet(vaultctl: Vaultctl) -> None:
    done = vaultctl("get")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "there are no services in" in done.stderr
    assert json.loads(vaultctl("get", "-o", "json").stdout)["items"] == []
    assert vaultctl("get", "-o", "name").stdout.strip() == ""


def test_the_table(vaultctl: Vaultctl, two: ObjectStore) -> None:
    lines = vaultctl("get").stdout.splitlines()
    assert lines[0].split() == ["NAME", "PLUGIN", "READY", "REVISION", "AGE", "URL", "MESSAGE"]
    assert lines[1].split()[:4] == ["files", "whoami", "2/3", "v1-abc"]
    assert "files-web-3 is starting" in lines[1]
    assert "http://127.0.0.1:8081/" in lines[2]
    assert "waits for a controller" in lines[2]


def test_wide_adds_columns(vaultctl: Vaultctl, two: ObjectStore, tmp_path: Path) -> None:
    lines = vaultctl("get", "files", "-o", "wide").stdout.splitlines()
    assert lines[0].split()[-4:] == ["UPDATED", "GENERATION", "ORIGIN", "MESSAGE"]
    assert f"apply {tmp_path}/files.yaml:1" in lines[1]


def test_names(vaultctl: Vaultctl, two: ObjectStore) -> None:
    assert vaultctl("get", "-o", "name").stdout.split() == ["vaultservice/files", "vaultservice/wiki"]


def test_one_document_or_a_list(vaultctl: Vaultctl, two: ObjectStore) -> None:
    one = json.loads(vaultctl("get", "files", "-o", "json").stdout)
    assert one["status"]["conditions"][0]["reason"] == "Progressing"
    assert one["status"]["observedGeneration"] == 1
    many = yaml.safe_load(vaultctl("get", "-o", "yaml").stdout)
    assert [each["metadata"]["name"] for each in many["items"]] == ["files", "wiki"]


def test_what_is_printed_can_be_applied_again(vaultctl: Vaultctl, two: ObjectStore) -> None:
    text = vaultctl("get", "files", "-o", "yaml").stdout
    (again,) = parse(text, Path("files.yaml"))
    stored = two.get("files")
    assert stored is not None
    assert again.resource.spec == stored.resource.spec


def test_a_list_that_is_printed_can_be_applied_again_and_changes_nothing(
    vaultctl: Vaultctl, two: ObjectStore, origin: Origin
) -> None:
    text = vaultctl("get", "-o", "yaml").stdout
    for manifest in parse(text, Path("-")):
        before = two.get(manifest.resource.name)
        assert two.apply(service_of(manifest), origin) == before


def test_an_unknown_name(vaultctl: Vaultctl, two: ObjectStore) -> None:
    done = vaultctl("get", "file")
    assert done.exit_code == 1
    assert done.stderr == "Error: there is no VaultService 'file'; did you mean 'files'?\n"


def test_a_damaged_object_is_an_error_and_not_a_crash(vaultctl: Vaultctl, two: ObjectStore) -> None:
    (two.directory("wiki") / "object.json").write_text("{")
    seen = vaultctl("get")
    assert "cannot be understood" in seen.stdout
    assert "files" in seen.stdout, "it hides no other one"
    (two.directory("wiki") / "object.copy.json").unlink()
    assert "cannot be understood" in vaultctl("get", "wiki").stderr
