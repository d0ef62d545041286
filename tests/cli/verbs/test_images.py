"""`vaultctl images`, with a registry of this machine and without an engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from reconciler.api import VaultService
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.registry.server import Asked, Said, Server, serving

Vaultctl = Callable[..., Result]
DIGEST = "sha256:" + "c" * 64
SECRET = "hunter22"


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture
def registry() -> Iterator[Server]:
    def say(asked: Asked) -> Said:
        if "private" in asked.path:
            return Said(401, {"WWW-Authenticate": "Basic realm=r"})
        if asked.method == "HEAD":
            return Said(headers={"Docker-Content-Digest": DIGEST})
        return Said(body=json.dumps({"tags": ["1.4.2", "1.5.0"]}).encode())

    with serving(say) as server:
        yield server


def keep(objects: ObjectStore, origin: Origin, name: str, image: str, **images: str) -> None:
    spec = {
        "plugin": "whoami",
        "route": {"hostnames": [f"{name}.test"]},
        "images": {"whoami": image, **images},
    }
    objects.apply(VaultService.model_validate({"metadata": {"name": name}, "spec": spec}), origin)


def test_a_line_for_each_image(
    vaultctl: Vaultctl, objects: ObjectStore, origin: Origin, registry: Server
) -> None:
    keep(objects, origin, "files", f"{registry.host}/app:1.4.2")
    keep(objects, origin, "wiki", f"{registry.host}/app:1.5.0@sha256:{'d' * 64}")
    done = vaultctl("images")
    assert done.exit_code == 0
    head, *lines = [line.split() for line in done.stdout.splitlines()]
    assert head == ["SERVICE", "WORKLOAD", "IMAGE", "RUNNING", "NEWEST", "CHOICE", "STATE", "MESSAGE"]
    assert [line[:7] for line in lines] == [
        ["files", "whoami", f"{registry.host}/app:1.4.2", "-", "1.5.0", "-", "Behind"],
        ["wiki", "whoami", f"{registry.host}/app:1.5.0@sha256:{'d' * 12}", "-", "-", "-", "Moved"],
    ]
    assert done.stdout.count("does not answer; is dockerd running?") == 2
    documents = json.loads(vaultctl("images", "wiki", "-o", "json").stdout)
    assert [(each["service"], each["state"], each["digest"]) for each in documents] == [
        ("wiki", "Moved", DIGEST)
    ]


def test_credentials_are_told_only_by_their_place(
    vaultctl: Vaultctl, objects: ObjectStore, origin: Origin, registry: Server, tmp_path: Path
) -> None:
    keep(objects, origin, "files", f"{registry.host}/private:1.4.2")
    assert "has none for it, which docker login" in vaultctl("images").stdout
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(
        json.dumps({"auths": {registry.host: {"username": "anna", "password": SECRET}}})
    )
    done = vaultctl("images")
    assert "Unknown" in done.stdout
    assert f"refuses the credentials of {tmp_path}/docker/config.json" in done.stdout
    assert SECRET not in done.output


def test_an_unknown_service_and_none_at_all(vaultctl: Vaultctl, state: Path) -> None:
    assert "no service has an image" in vaultctl("images").stderr
    assert json.loads(vaultctl("images", "-o", "json").stdout) == []
    assert vaultctl("images", "wiki").exit_code == 1


def test_an_unknown_workload_is_told_with_file_and_line(vaultctl: Vaultctl, tmp_path: Path) -> None:
    path = tmp_path / "files.yaml"
    path.write_text(
        "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {name: files}\n"
        "spec:\n  plugin: whoami\n  images: {wb: app:1.5}\n"
    )
    done = vaultctl("validate", "-f", path)
    assert done.exit_code == 1
    assert f"{path}:1:1: files: spec.images.wb: there is no workload 'wb', there are" in done.stderr


@pytest.mark.parametrize("image", ["App:1", "app:", "a b", "app@sha256:12", "http://r.test/app"])
def test_a_text_that_is_no_image_is_told_with_file_and_line(
    vaultctl: Vaultctl, tmp_path: Path, image: str
) -> None:
    path = tmp_path / "files.yaml"
    path.write_text(
        "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {name: files}\n"
        f"spec:\n  plugin: whoami\n  images: {{web: '{image}'}}\n"
    )
    done = vaultctl("validate", "-f", path)
    assert done.exit_code == 1
    assert f"{path}:6:" in done.stderr
    assert "spec.images.web: must be an image reference" in done.stderr


def test_what_a_policy_chooses_and_what_is_too_young(
    vaultctl: Vaultctl, objects: ObjectStore, origin: Origin, registry: Server
) -> None:
    for name, age in (("files", "0s"), ("wiki", "3d")):
        policy = {"workload": "whoami", "pattern": 'semver "^1.4"', "minAge": age}
        spec = {
            "plugin": "whoami",
            "route": {"hostnames": [f"{name}.test"]},
            "images": {"whoami": f"{registry.host}/app:1.4.2"},
            "imagePolicy": policy,
        }
        objects.apply(VaultService.model_validate({"metadata": {"name": name}, "spec": spec}), origin)
    files, wiki = json.loads(vaultctl("images", "-o", "json").stdout)
    assert (files["choice"], wiki["choice"]) == ("1.5.0", None)
    assert "imagePolicy chooses 1.5.0" in files["message"]
    assert "1.5.0 waits until" in wiki["message"]


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        (
            "{workload: wb, pattern: semver ^1}",
            "1:1: files: spec.imagePolicy.workload: there is no workload 'wb'",
        ),
        ("{workload: whoami, pattern: '1.4'}", "6:44: spec.imagePolicy.pattern: must be semver and a range"),
        (
            "{workload: whoami, pattern: semver latest}",
            "6:44: spec.imagePolicy.pattern: 'latest' is no version",
        ),
    ],
)
def test_a_policy_with_a_mistake_is_told_with_file_and_line(
    vaultctl: Vaultctl, tmp_path: Path, policy: str, complaint: str
) -> None:
    path = tmp_path / "files.yaml"
    path.write_text(
        "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {name: files}\n"
        f"spec:\n  plugin: whoami\n  imagePolicy: {policy}\n"
    )
    done = vaultctl("validate", "-f", path)
    assert done.exit_code == 1
    assert f"{path}:{complaint}" in done.stderr
