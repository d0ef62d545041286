"""`render` writes what would run, for other tools to read; secrets are for the owner's eyes."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

Vaultctl = Callable[..., Result]
Manifest = Callable[..., Path]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def rendered(vaultctl: Vaultctl, manifest: Manifest, tmp_path: Path) -> Path:
    (tmp_path / "secret.env").write_text("TOKEN=pa$$word${X}\n")
    path = manifest(replicas="3", envFrom="[{file: secret.env}]")
    os.umask(0o022)
    done = vaultctl("render", "-f", path, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert str(tmp_path / "out" / "compose.yaml") in done.stdout.splitlines()
    return tmp_path / "out"


def test_modes(rendered: Path) -> None:
    assert mode(rendered / "compose.yaml") == 0o600
    assert mode(rendered / "haproxy" / "haproxy.cfg") == 0o644


def test_values_are_escaped_for_compose(rendered: Path) -> None:
    document = yaml.safe_load((rendered / "compose.yaml").read_text())
    assert document["services"]["whoami"]["environment"]["TOKEN"] == "pa$$$$word$${X}"


def test_again_gives_the_same_and_replaces_a_readable_file(
    vaultctl: Vaultctl, manifest: Manifest, rendered: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in rendered.rglob("*") if path.is_file()}
    (rendered / "compose.yaml").chmod(0o644)
    assert vaultctl("render", "-f", tmp_path / "files.yaml", "-o", rendered).exit_code == 0
    assert {path: path.read_bytes() for path in rendered.rglob("*") if path.is_file()} == before
    assert mode(rendered / "compose.yaml") == 0o600


def test_several_services_get_directories(vaultctl: Vaultctl, manifest: Manifest, tmp_path: Path) -> None:
    one, two = manifest("one", ports="{http: 8081}"), manifest("two", ports="{http: 8082}")
    assert vaultctl("render", "-f", one, "-f", two, "-o", tmp_path / "out").exit_code == 0
    for name in ("one", "two"):
        assert (
            yaml.safe_load((tmp_path / "out" / name / "compose.yaml").read_text())["name"] == f"vault-{name}"
        )


def test_a_place_that_cannot_be_written(vaultctl: Vaultctl, manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = vaultctl("render", "-f", manifest(), "-o", tmp_path / "file" / "out")
    assert done.exit_code == 1
    assert "cannot write" in done.stderr


@pytest.mark.docker
def test_compose_and_haproxy_accept_it(rendered: Path) -> None:
    compose = ["docker", "compose", "-f", str(rendered / "compose.yaml"), "config", "--format", "json"]
    done = subprocess.run(compose, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    # Compose doubles every '$' of what it prints, so a literal "pa$$word${X}" comes out like this.
    assert yaml.safe_load(done.stdout)["services"]["whoami"]["environment"]["TOKEN"] == "pa$$$$word$${X}"
    mount = f"{rendered / 'haproxy'}:/config:ro"
    check = ["docker", "run", "--rm", "--network", "none", "-v", mount, "haproxy:3.0", "haproxy", "-c", "-f"]
    done = subprocess.run(
        [*check, "/config/haproxy.cfg"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
