"""Everything that -f names is read as one set, and every mistake in it is told at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from reconciler.api import ManifestError
from reconciler.api.kinds import names_of_kinds
from reconciler.cli.manifests import read

Manifest = Callable[..., Path]
Vaultctl = Callable[..., Result]


def test_files_and_directories_add_up(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    one = manifest("one", ports="{http: 8081}")
    two = manifest("two", file="more/two.yaml", ports="{http: 8082}")
    assert [each.resource.name for each in read([one, two.parent])] == ["one", "two"]


def test_all_problems_of_all_files_come_together(manifest: Manifest, tmp_path: Path) -> None:
    one = manifest("one", replicas="many")
    two = manifest("two", replica="3")
    with pytest.raises(ManifestError) as caught:
        read([one, two, tmp_path / "missing.yaml"])
    assert [problem.path.name for problem in caught.value.problems] == [
        "missing.yaml",
        "one.yaml",
        "two.yaml",
    ]


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (("one", "{http: 8081}"), ("two", "{http: 8081}"), "8081 is already used by one"),
        (("one", "{http: 8081}"), ("one", "{http: 8082}"), "one is already defined at"),
    ],
)
def test_files_are_checked_against_each_other(
    manifest: Manifest, first: tuple[str, str], second: tuple[str, str], says: str
) -> None:
    paths = [
        manifest(name, file=f"{number}.yaml", ports=ports)
        for number, (name, ports) in enumerate((first, second))
    ]
    with pytest.raises(ManifestError, match=says):
        read(paths)


def test_standard_input_names_itself_in_problems(vaultctl: Vaultctl, manifest: Manifest) -> None:
    text = manifest("one", replica="3").read_text()
    done = vaultctl("validate", "-f", "-", input=text)
    assert done.exit_code == 1
    assert "<stdin>:7:3: spec.replica: is not a known field; did you mean replicas?" in done.stderr


def test_a_settings_file_that_all_can_read_is_warned_about(
    vaultctl: Vaultctl, manifest: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "files.env").write_text("PASSWORD=hunter2\n")
    (tmp_path / "files.env").chmod(0o644)
    done = vaultctl("validate", "-f", manifest(envFrom="[{file: files.env}]"))
    assert done.exit_code == 0
    assert f"chmod 600 {tmp_path / 'files.env'}" in done.stderr
    assert "hunter2" not in done.output


def test_a_list_on_standard_input_is_read_and_what_is_not_ours_is_named(vaultctl: Vaultctl) -> None:
    """`kubectl get -o yaml | vaultctl validate -f -`."""
    text = """\
apiVersion: v1
kind: List
items:
- apiVersion: vault.internal/v1alpha1
  kind: VaultService
  metadata: {name: files, namespace: default, uid: a-b, resourceVersion: "7"}
  spec: {plugin: whoami}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}
"""
    done = vaultctl("validate", "-f", "-", input=text)
    assert done.exit_code == 0, done.stderr
    assert "files" in done.stdout
    assert f"skipped, since they hold no {names_of_kinds()}: <stdin>" in done.stderr


def test_another_namespace_on_standard_input_is_refused(vaultctl: Vaultctl) -> None:
    text = "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata:\n  name: files\n  namespace: web\n"
    done = vaultctl("validate", "-f", "-", input=text + "spec: {plugin: whoami}\n")
    assert done.exit_code == 1
    assert "<stdin>:5:14: metadata.namespace: must be default: there are no other namespaces" in done.stderr
