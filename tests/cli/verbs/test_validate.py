"""`validate` needs no engine and tells every mistake."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from pyrage import x25519

from reconciler.sealed.age import encrypt

Vaultctl = Callable[..., Result]
Manifest = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


def test_a_valid_manifest_is_summed_up(vaultctl: Vaultctl, manifest: Manifest) -> None:
    path = manifest(replicas="3", ports="{http: 9000}")
    done = vaultctl("validate", "-f", path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{path}:1: files is valid (whoami, 3 replicas on port 9000)\n"


def test_warnings_of_the_build_go_to_stderr(vaultctl: Vaultctl, manifest: Manifest, tmp_path: Path) -> None:
    plugin = tmp_path / "plugins" / "publisher" / "plugin.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(
        "from vault_plugins import VaultServicePlugin\n"
        "class P(VaultServicePlugin):\n"
        "    metadata = VaultServicePlugin.Metadata('P', 'publisher', 8080)\n"
        "    def build_compose(self, env):\n"
        "        return {'services': {'p': {'image': 'p:1', 'ports': ['9000:8080']}}}\n"
        "    def get_containers(self):\n"
        "        return ['p']\n"
    )
    done = vaultctl("validate", "-f", manifest(plugin="publisher"), "--plugin-path", plugin.parents[1])
    assert done.exit_code == 0, done.stderr
    assert "Warning:" in done.stderr
    assert "published ports move to HAProxy" in done.stderr


def test_all_mistakes_are_told_with_their_places(vaultctl: Vaultctl, manifest: Manifest) -> None:
    path = manifest(replicas='"3"', port="8080")
    done = vaultctl("validate", "-f", path)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: 2 problems\n")
    assert f"{path}:7:13: spec.replicas" in done.stderr
    assert f"{path}:8:3: spec.port: is not a known field; did you mean ports?" in done.stderr


def test_nothing_is_written(vaultctl: Vaultctl, manifest: Manifest, state: Path) -> None:
    vaultctl("validate", "-f", manifest())
    assert not (state / "services").exists()


def test_a_host_name_has_to_be_permitted(vaultctl: Vaultctl, manifest: Manifest) -> None:
    path = manifest(route="{hostnames: [app.example.org, bank.test]}", ports="{}")
    assert vaultctl("validate", "-f", path).exit_code == 0, "by default all are"
    only = ("--allow-hostnames", "*.example.org")
    refused = vaultctl(*only, "validate", "-f", path)
    assert refused.exit_code == 1
    assert f"{path}:1:1: files: the operator does not let files claim bank.test" in refused.stderr
    assert "app.example.org" not in refused.stderr
    assert vaultctl(*only, "--allow-hostnames", "bank.test", "validate", "-f", path).exit_code == 0


def test_encrypted_settings_without_any_key_are_a_warning(
    vaultctl: Vaultctl, manifest: Manifest, tmp_path: Path
) -> None:
    here, other = x25519.Identity.generate(), x25519.Identity.generate()
    path = manifest(envFrom="[{file: files.env.age}]")
    (path.parent / "files.env.age").write_bytes(encrypt(b"A=1\n", [str(here.to_public())]))
    done = vaultctl("validate", "-f", path)
    assert (done.exit_code, done.stdout) == (0, f"{path}:1: files is valid\n"), done.stderr
    assert "is encrypted, and vaultctl has no key" in done.stderr
    assert "files is checked without its plugin" in done.stderr
    assert vaultctl("diff", "-f", path).exit_code == 2
    key = tmp_path / "age.key"
    key.touch(0o600)
    key.write_text(f"{other}\n")
    done = vaultctl("validate", "-f", path, "--age-keys", key)
    assert done.exit_code == 1
    assert "of which no key is here" in done.stderr
    key.write_text(f"{here}\n")
    done = vaultctl("validate", "-f", path, "--age-keys", key)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "files is valid (whoami," in done.stdout
