"""What verbs that need an engine do without one: one line, the right exit code, and nothing half done."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from click.testing import Result

from reconciler.api import VaultService
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore

Vaultctl = Callable[..., Result]
Manifest = Callable[..., Path]
MakeService = Callable[..., VaultService]


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


@pytest.fixture
def stored(objects: ObjectStore, make_service: MakeService, origin: Origin) -> ObjectStore:
    objects.apply(make_service(), origin)
    return objects


def test_diff_is_trouble_and_not_a_difference(vaultctl: Vaultctl, manifest: Manifest) -> None:
    done = vaultctl("diff", "-f", manifest())
    assert done.exit_code == 2
    assert done.stderr == "Error: the engine at tcp://127.0.0.1:1 does not answer; is dockerd running?\n"


def test_apply_waits_and_then_says_why(vaultctl: Vaultctl, manifest: Manifest, objects: ObjectStore) -> None:
    done = vaultctl("apply", "-f", manifest(), "--timeout", "1s")
    assert done.exit_code == 1
    assert "files is not Ready" in done.stderr
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
    assert objects.names() == ("files",), "what is wanted is stored all the same"


def test_an_invalid_manifest_leaves_everything_as_it_was(
    vaultctl: Vaultctl, manifest: Manifest, stored: ObjectStore
) -> None:
    before = stored.get("files")
    good = manifest("wiki", ports="{http: 8081}")
    done = vaultctl("apply", "-f", good, "-f", manifest("files", plugin="whoam", ports="{http: 8082}"))
    assert done.exit_code == 1
    assert "did you mean 'whoami'" in done.stderr
    assert stored.get("files") == before
    assert stored.names() == ("files",)


def test_describe_shows_the_rest_of_the_page(vaultctl: Vaultctl, stored: ObjectStore) -> None:
    done = vaultctl("describe", "files")
    assert done.exit_code == 0
    assert "cannot be seen: the engine at tcp://127.0.0.1:1 does not answer" in done.stdout
    assert "plugin: whoami" in done.stdout


def test_doctor_fails_with_a_fix_and_goes_on(vaultctl: Vaultctl, stored: ObjectStore) -> None:
    done = vaultctl("doctor", "-o", "json")
    assert done.exit_code == 1
    findings = {each["check"]: each for each in json.loads(done.stdout)}
    assert findings["engine"]["level"] == "fail"
    assert findings["engine"]["fix"]
    assert findings["service: files"]["level"] == "ok"
    assert "fail  engine: " in vaultctl("doctor").stdout


def test_doctor_survives_a_state_directory_that_is_none(vaultctl: Vaultctl) -> None:
    done = vaultctl("doctor", "--state-dir", "/dev/null/state")
    assert done.exit_code in (1, 2)
    assert "Traceback" not in done.output


def test_delete_asks_before_it_removes_data(vaultctl: Vaultctl, stored: ObjectStore) -> None:
    done = vaultctl("delete", "files", "--volumes")
    assert done.exit_code == 1
    assert "without a terminal, confirm it with --yes" in done.stderr
    kept = stored.get("files")
    assert kept is not None
    assert kept.deletion is None


def test_delete_of_what_is_not_there(vaultctl: Vaultctl, stored: ObjectStore) -> None:
    assert vaultctl("delete", "files", "wiki").exit_code == 1
    kept = stored.get("files")
    assert kept is not None
    assert kept.deletion is None, "nothing is deleted when one name is wrong"


def test_logs_of_a_workload_that_is_not_there(vaultctl: Vaultctl, stored: ObjectStore) -> None:
    done = vaultctl("logs", "files", "web")
    assert done.exit_code == 1
    assert done.stderr == "Error: files has no workload 'web'; it has: gateway, haproxy, whoami\n"


def test_run_says_what_is_wrong_with_the_address(process: Callable[..., CompletedProcess[str]]) -> None:
    done = process("run", "--listen", "nonsense")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: cannot listen on 'nonsense': write HOST:PORT")
