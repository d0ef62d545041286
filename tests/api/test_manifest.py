import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.errors import ManifestError
from reconciler.api.kinds import names_of_kinds
from reconciler.api.manifest import load, load_directory, parse, survey
from reconciler.api.text_file import decode

HEAD = "apiVersion: vault.internal/v1alpha1\nkind: VaultService\n"


def document(name: str, port: int, **spec: str) -> str:
    fields = "".join(f", {field}: {value}" for field, value in spec.items())
    return (
        f"---\n{HEAD}metadata: {{name: {name}}}\nspec: {{plugin: whoami, ports: {{http: {port}}}{fields}}}\n"
    )


def test_a_file_may_hold_several_services(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(document("web", 8080) + document("api", 8081), encoding="utf-8")
    manifests = load(file)
    assert [(manifest.resource.name, manifest.path, manifest.line) for manifest in manifests] == [
        ("web", file, 2),
        ("api", file, 7),
    ]


def test_a_directory_is_read_with_everything_below_in_sorted_order(tmp_path: Path) -> None:
    files = {
        "b.yaml": document("b", 1),
        "a.yml": document("a", 2),
        "sub/c.yaml": document("c", 3),
        "sub/deep/d.yaml": document("d", 4),
        ".hidden.yaml": "[",
        ".git/e.yaml": "[",
        "notes.txt": "[",
        "f.yaml~": "[",
        "other.yaml": "apiVersion: v1\nkind: ConfigMap\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [manifest.resource.name for manifest in load_directory(tmp_path)] == ["a", "b", "c", "d"]
    assert load(tmp_path) == load_directory(tmp_path)


def test_a_directory_without_services_is_an_error_and_no_empty_list(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("apiVersion: v1\nkind: ConfigMap\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=f"there is no {names_of_kinds()} in this directory"):
        load(tmp_path)


def test_a_directory_that_is_gone_or_closed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="does not exist"):
        load(tmp_path / "gone")
    with pytest.raises(ManifestError, match="cannot be listed: No such file or directory"):
        load_directory(tmp_path / "gone")


def test_every_problem_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(document("a", 1, replicas="-1", drift="no"), encoding="utf-8")
    (tmp_path / "b.yaml").write_text("# vault.internal/\na: [", encoding="utf-8")
    (tmp_path / "c.yaml").write_bytes(b"kind: VaultService\n\xff")
    (tmp_path / "d.yaml").write_text(document("d", 1), encoding="utf-8")
    (tmp_path / "e.yaml").symlink_to("nowhere")
    (tmp_path / "f.yaml").write_text(document("d", 2), encoding="utf-8")
    with pytest.raises(ManifestError) as refused:
        load(tmp_path)
    assert [(problem.path.name, problem.line) for problem in refused.value.problems] == [
        ("a.yaml", 5),
        ("a.yaml", 5),
        ("b.yaml", 3),
        ("c.yaml", 2),
        ("e.yaml", 0),
        ("f.yaml", 4),
    ]
    assert f"already defined at {tmp_path}/d.yaml:4:18" in str(refused.value)


def test_a_survey_leaves_out_what_is_wrong_and_keeps_the_rest(tmp_path: Path) -> None:
    texts = {
        "good.yaml": document("good", 1),
        "half.yaml": document("fine", 2) + document("wrong", 3, replicas="-1"),
        "broken.yaml": document("before", 4) + "---\n[",
        "twice.yaml": document("same", 5) + document("same", 6),
        "port.yaml": document("left", 7) + document("right", 7),
        "circle.yaml": document("x", 8, dependsOn="[y]") + document("y", 9, dependsOn="[x]"),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = survey(tmp_path)
    assert sorted(manifest.resource.name for manifest in found.manifests) == ["fine", "good"]
    assert {problem.path.name for problem in found.problems} == texts.keys() - {"good.yaml"}
    with pytest.raises(ManifestError) as refused:
        found.all_or_nothing()
    assert refused.value.problems == found.problems


def test_a_path_that_cannot_be_stored_keeps_no_other_resource_from_being_stored(tmp_path: Path) -> None:
    """Names on disk are bytes, also those of a commit."""
    (tmp_path / "a.yaml").write_text(document("web", 8080), encoding="utf-8")
    other = tmp_path / os.fsdecode(b"b\xff.yaml")
    other.write_text(document("api", 8081), encoding="utf-8")
    found = survey(tmp_path)
    assert [each.resource.name for each in found.manifests] == ["web"]
    (problem,) = found.problems
    assert str(problem) == f"{tmp_path}/b\\udcff.yaml: has a path that is not UTF-8; rename it"
    # Files of others may be named as they are.
    other.write_text("[1, 2]", encoding="utf-8")
    assert survey(tmp_path).problems == ()


def test_status_of_an_earlier_output_is_dropped() -> None:
    (manifest,) = parse(document("web", 8080) + "status: {ready: whatever}\n", Path("f.yaml"))
    assert manifest.resource.status is None


def test_documents_of_other_groups_are_passed_over() -> None:
    foreign = "apiVersion: apps/v1\nkind: Deployment\nspec: {replcas: 3}\n"
    assert [manifest.resource.name for manifest in parse(foreign + document("web", 1), Path("f"))] == ["web"]


def test_text_is_compared_by_its_group_and_not_by_a_prefix() -> None:
    foreign = "apiVersion: vault.internal.example/v1\nkind: Other\n"
    assert len(parse(foreign + document("web", 1), Path("f"))) == 1


@pytest.mark.parametrize("line", ["a: 1\n", "1: x\n", "unknown{}: 1\n", "{}: !x 1\n"])
def test_a_file_full_of_mistakes_is_refused_in_a_moment_and_with_a_readable_list(line: str) -> None:
    text = f"{HEAD}metadata: {{name: a}}\nplugin: whoami\n" + "".join(line.format(n) for n in range(30_000))
    started = time.process_time()
    with pytest.raises(ManifestError) as refused:
        parse(text, Path("f.yaml"))
    assert time.process_time() - started < 10
    assert 1 <= len(refused.value.problems) <= 202


fragments = st.sampled_from(
    [
        *[HEAD, "metadata: ", "spec: ", "plugin: whoami\n", "name: x\n", "replicas: 3\n", "env: ", "---\n"],
        *["  ", "\n", "\t", "- ", "{", "}", "[", "]", "&a ", "*a", "!x ", ": ", ", ", "1", "'", '"', "# "],
        *["|", ">", "?", "\x00", "é"],
    ]
)


@given(st.binary(max_size=200) | st.lists(fragments, max_size=20).map(lambda parts: "".join(parts).encode()))
def test_nothing_but_a_manifest_error_comes_out_of_any_bytes(content: bytes) -> None:
    try:
        manifests = parse(decode(content, Path("f.yaml")), Path("f.yaml"))
    except ManifestError as error:
        problems = error.problems
    else:
        problems = ()
        assert manifests
    assert all(problem.message and problem.path == Path("f.yaml") for problem in problems)


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_nothing_but_a_manifest_error_comes_out_of_any_value(value: str) -> None:
    for field in ("plugin", "healthcheck", "env", "restartedAt", "drift", "rotation", value):
        with pytest.raises(ManifestError):
            parse(f"{HEAD}metadata: {{name: a}}\nspec:\n  {field}: [{value}\n", Path("f.yaml"))
