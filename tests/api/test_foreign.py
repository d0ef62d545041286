"""YAML of other programs in a directory of manifests is skipped and reported; a possible manifest is never skipped."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.manifest import load, survey

OURS = (
    "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {name: web}\nspec: {plugin: whoami}\n"
)
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"

FOREIGN = {
    "compose": "services:\n  db:\n    image: postgres:16\n",
    "merge key": "x-a: &a {image: b}\nservices:\n  db:\n    <<: *a\n",
    "tag": "services:\n  db:\n    ports: !override []\n",
    "list": "- hosts: all\n- hosts: some\n",
    "scalar": "just words\n",
    "template": "image: {{ .Values.image }}\nlabels: {{- include x . | nindent 4 }}\n",
    "kustomization": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
    "kubernetes": f"{SECRET}stringData:\n  <<: {{a: b}}\n  k: 1\n  k: 2\n  n: !!binary aGk=\n",
    "several": f"{SECRET}---\n{SECRET}stringData: {{<<: {{a: b}}}}\n---\nservices: {{}}\n",
    "large": "data:\n" + "".join(f"  k{number}: {'x' * 1000}\n" for number in range(2100)),
    "many values": "data:\n" + "".join(f"- {number}\n" for number in range(100_001)),
    "deep": "a: " + "[" * 40 + "]" * 40 + "\n",
    "aliases": "a: &a [1]\nb: [" + "*a, " * 80 + "1]\n",
    "other brackets": "{% if x %}\na: b\n{% endif %}\n",
    "tabs": "a:\n\tb: c\n",
    "no UTF-8": "name: \udcff\n",
    "control character": "a: \x01\n",
}
SILENT = {"empty": "", "comments": "# nothing\n", "empty documents": "---\n---\n"}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_file_of_another_program_is_passed_over_and_named(what: str, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(OURS)
    other = tmp_path / "other.yaml"
    other.write_bytes(FOREIGN[what].encode(errors="surrogateescape"))
    found = survey(tmp_path)
    assert [each.resource.name for each in found.all_or_nothing()] == ["web"]
    assert found.foreign == (other,)


@pytest.mark.parametrize("what", SILENT)
def test_a_file_without_a_document_is_worth_no_word(what: str, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(OURS)
    (tmp_path / "other.yaml").write_text(SILENT[what])
    found = survey(tmp_path)
    assert [each.resource.name for each in found.all_or_nothing()] == ["web"]
    assert found.foreign == found.doubts == ()


@pytest.mark.parametrize("what", ["compose", "list", "kubernetes", "kustomization", "several"])
def test_documents_of_others_beside_ours_in_one_file(what: str, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(f"{OURS}---\n{FOREIGN[what]}")
    assert [each.resource.name for each in load(tmp_path)] == ["web"]


@pytest.mark.parametrize(
    "text",
    [
        OURS.replace("v1alpha1", "v1alpha2"),
        OURS.replace("VaultService", "VaultServce"),
        OURS.replace("vault.internal", "vault.intrenal"),
        OURS.replace("apiVersion", "apiversion"),
        OURS.replace("kind: VaultService\n", ""),
        OURS.replace("apiVersion: vault.internal/v1alpha1\n", ""),
        "metadata: {name: web}\nspec: {plugin: whoami}\n",
        OURS.replace("plugin: whoami", "plugin: whoami, <<: {}"),
        OURS.replace("plugin: whoami", "plugin: whoami, plugin: whoami"),
        OURS + "  broken: [\n",
        "services: [\n---\n" + OURS,
        FOREIGN["template"] + OURS,
        OURS + "# \udcff\n",
        OURS + "#" * 1_100_000,
        "apiVersion: vault.inte",
        "apiVersi",
    ],
)
def test_what_means_to_be_ours_and_is_broken_is_a_mistake(text: str, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_bytes(text.encode(errors="surrogateescape"))
    found = survey(tmp_path)
    assert found.problems
    assert not found.manifests


@given(cut=st.integers(1, len(OURS) - 1))
def test_a_manifest_that_is_half_written_is_never_taken_for_a_foreign_one(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("half")
    (directory / "other.yaml").write_text(
        OURS.replace("web", "other").replace("whoami}", "whoami, replicas: 2}")
    )
    (directory / "web.yaml").write_text(OURS[:cut])
    found = survey(directory)
    assert found.problems or [each.resource.name for each in found.manifests] == ["other", "web"]


@pytest.mark.parametrize("what", ["compose", "template", "no UTF-8", "large", "list"])
def test_where_nothing_tells_whose_a_file_is_there_is_a_doubt(what: str, tmp_path: Path) -> None:
    """If a service came from that file before, the file is broken, not removed."""
    (tmp_path / "web.yaml").write_bytes(FOREIGN[what].encode(errors="surrogateescape"))
    assert {doubt.path for doubt in survey(tmp_path).doubts} == {tmp_path / "web.yaml"}


@pytest.mark.parametrize("what", ["kubernetes", "kustomization"])
def test_what_says_whose_it_is_leaves_no_doubt(what: str, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(FOREIGN[what])
    assert survey(tmp_path).doubts == ()


def test_a_file_that_is_named_has_to_be_a_manifest(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(FOREIGN["compose"])
    assert "apiVersion: is required" in str(survey(file).problems[0])
