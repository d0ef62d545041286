"""kubectl itself writes into a served state directory: one story, in its order, with exit codes and what is printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.api import parse
from reconciler.store.base import Origin
from tests.web.kube.cluster import Cluster, served

FIRST = """
# a comment
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata:
  name: files
  labels: {team: a}
spec:
  plugin: whoami
  replicas: 3  # as many as there are disks
  ports:
    http: 8081
"""
WRONG = FIRST.replace("replicas: 3", "replicas: many").replace("8081", "99999") + "  stratgy: {}\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("kubectl")
    for name, text in {
        "first": FIRST,
        "second": FIRST.replace("replicas: 3", "replicas: 4"),
        "wrong": WRONG,
        "unknown": FIRST + "  stratgy: {}\n",
        "applied": FIRST.replace("name: files", "name: applied"),
        "dropped": FIRST.replace("name: files", "name: applied")
        .replace("  labels: {team: a}\n", "")
        .replace("  replicas: 3  # as many as there are disks\n", ""),
        "generated": FIRST.replace("name: files", "generateName: job-"),
        "elsewhere": FIRST.replace("name: files", "name: files\n  namespace: other"),
        "secret": FIRST.replace("name: files", "name: sly") + "  envFrom: [{file: /etc/shadow}]\n",
        "plugin": FIRST.replace("name: files", "name: odd").replace("whoami", "whoamy"),
    }.items():
        (home / f"{name}.yaml").write_text(text)
    editor = home / "editor"
    editor.write_text("#!/bin/sh\n" + r"""sed -i 's/^  replicas: [0-9]*$/  replicas: 8/' "$1" """)
    editor.chmod(0o755)
    with served(home / "state", home) as found:
        yield found


STORY = [
    # Creating
    ("apply -f wrong.yaml", 1, [r"spec\.replicas: must be a whole number", r"spec\.ports\.http: must be at most 65535",
                                r"spec\.stratgy: is not a known field"]),
    ("apply -f unknown.yaml", 1, [r'strict decoding error: unknown field "spec\.stratgy"']),
    ("apply -f plugin.yaml", 1, [r'The VaultService "odd" is invalid: spec', r"whoamy"]),
    ("apply -f secret.yaml", 1, [r"spec\.envFrom.*names a file of the machine"]),
    ("apply -f elsewhere.yaml", 1, [r'namespaces "other" not found']),
    ("create -f first.yaml --dry-run=server", 0, [r"created \(server dry run\)"]),
    ("get vs files", 1, [r"NotFound"]),
    ("create -f unknown.yaml --validate=warn --dry-run=server", 0, [r'Warning: unknown field "spec\.stratgy"']),
    ("apply -f first.yaml", 0, [r"vaultservice\.vault\.internal/files created"]),
    ("apply -f first.yaml", 0, [r"vaultservice\.vault\.internal/files unchanged"]),
    ("create -f first.yaml", 1, [r'AlreadyExists.*vaultservices\.vault\.internal "files" already exists']),
    ("create -f generated.yaml", 0, [r"vaultservice\.vault\.internal/job-[a-z0-9]{5} created"]),
    # Changing
    ("diff -f first.yaml", 0, [r"\A\Z"]),
    ("diff -f second.yaml", 1, [r"^-  replicas: 3$", r"^\+  replicas: 4$"]),
    ("apply -f second.yaml --dry-run=server -o jsonpath={.spec.replicas}{.metadata.generation}", 0, [r"\A42\Z"]),
    ("get vs files -o jsonpath={.spec.replicas}{.metadata.generation}", 0, [r"\A31\Z"]),
    ("apply -f second.yaml", 0, [r"files configured"]),
    ("get vs files -o jsonpath={.spec.replicas}{.metadata.generation}", 0, [r"\A42\Z"]),
    ("scale vs/files --replicas=5", 0, [r"files scaled"]),
    ("scale vs/files --replicas=6 --current-replicas=2", 1, [r"Expected replicas to be 2, was 5"]),
    ("get vs files --subresource=scale -o jsonpath={.spec.replicas}{.kind}", 0, [r"\A5Scale\Z"]),
    ("label vs files tier=web", 0, [r"files labeled"]),
    ("label vs files tier=db", 1, [r"'tier' already has a value"]),
    ("label vs files tier=db --overwrite", 0, [r"files labeled"]),
    ("label vs files tier-", 0, [r"files unlabeled"]),
    ("label vs files bad=a\\ b", 1, [r"Invalid value|invalid"]),
    ("annotate vs files note=hello", 0, [r"files annotated"]),
    ("get vs files -o jsonpath={.metadata.labels}{.metadata.annotations.note}{.metadata.generation}", 0,
     [r'\A{"team":"a"}hello3\Z']),
    ('patch vs files --type=merge -p {"spec":{"env":{"LEVEL":"debug"}}}', 0, [r"files patched"]),
    ('patch vs files --type=merge -p {"spec":{"env":{"LEVEL":"debug"}}}', 0, [r"files patched \(no change\)"]),
    ('patch vs files --type=json -p [{"op":"replace","path":"/spec/env/LEVEL","value":"info"}]', 0, [r"files patched"]),
    ('patch vs files --type=json -p [{"op":"test","path":"/spec/replicas","value":1}]', 1, [r"is another one"]),
    ('patch vs files -p {"spec":{"replicas":2}}', 1, [r"strategic-merge-patch\+json is not supported"]),
    ('patch vs files --type=merge -p {"spec":{"replicas":-1}}', 1, [r"spec\.replicas: must be at least"]),
    ('patch vs files --type=merge -p {"metadata":{"name":"other"}}', 1, [r"metadata\.name: must be files"]),
    ('patch vs files --type=merge -p {"metadata":{"resourceVersion":"1"},"spec":{"replicas":2}}', 1,
     [r"Conflict|object has been modified"]),
    ('patch vs files --subresource=scale --type=merge -p {"spec":{"replicas":7}}', 0, [r"scaled|patched"]),
    ("get vs files -o jsonpath={.spec.replicas}{.spec.env.LEVEL}", 0, [r"\A7info\Z"]),
    ("edit vs files", 0, [r"files edited"]),
    ("get vs files -o jsonpath={.spec.replicas}", 0, [r"\A8\Z"]),
    ("replace -f first.yaml", 0, [r"files replaced"]),
    ("get vs files -o jsonpath={.spec.replicas}{.spec.env}", 0, [r"\A3{}\Z"]),
    # Server-side apply
    ("apply --server-side -f applied.yaml", 0, [r"vaultservice\.vault\.internal/applied serverside-applied"]),
    ("apply --server-side -f applied.yaml", 0, [r"serverside-applied"]),
    ("get vs applied -o jsonpath={.metadata.managedFields[*].manager}{.metadata.generation}", 0, [r"\Akubectl1\Z"]),
    ("get vs applied -o yaml --show-managed-fields", 0, [r"manager: kubectl$", r"operation: Apply$", r"f:replicas: \{\}"]),
    ("scale vs/applied --replicas=6", 0, [r"scaled"]),
    ("apply --server-side -f applied.yaml", 1, [r'conflict with "kubectl" using .*: \.spec\.replicas']),
    ("apply --server-side -f applied.yaml --field-manager=other --dry-run=server", 1, [r"Apply failed with 1 conflict"]),
    ("get vs applied -o jsonpath={.spec.replicas}", 0, [r"\A6\Z"]),
    ("apply --server-side -f applied.yaml --force-conflicts", 0, [r"serverside-applied"]),
    ("get vs applied -o jsonpath={.spec.replicas}", 0, [r"\A3\Z"]),
    ("apply --server-side -f dropped.yaml", 0, [r"serverside-applied"]),
    ("get vs applied -o jsonpath={.spec.replicas}.{.metadata.labels}", 0, [r"\A\.\Z"]),
    ("apply --server-side -f dropped.yaml --field-manager=second", 0, [r"serverside-applied"]),
    ("apply --server-side -f first.yaml", 0, [r"files serverside-applied"]),
    # Finalizers and deletion
    ('patch vs files --type=merge -p {"metadata":{"finalizers":["example.com/backup"]}}', 0, [r"files patched"]),
    ('patch vs files --type=merge -p {"metadata":{"finalizers":["backup"]}}', 1, [r"at most 100 qualified names"]),
    ("delete vs files --cascade=orphan", 1, [r"propagationPolicy: supported values: Background, Foreground"]),
    ("delete vs files --dry-run=server", 0, [r"deleted \(server dry run\)"]),
    ("get vs files -o jsonpath={.metadata.deletionTimestamp}", 0, [r"\A\Z"]),
    ("delete vs files --wait=false", 0, [r'vaultservice\.vault\.internal "files" deleted']),
    ("get vs files -o jsonpath={.metadata.finalizers}", 0, [r'\A\["example\.com/backup","vault\.internal/teardown"\]\Z']),
    ('patch vs files --type=merge -p {"metadata":{"finalizers":null}}', 0, [r"files patched"]),
    ("get vs files -o jsonpath={.metadata.finalizers}", 0, [r'\A\["vault\.internal/teardown"\]\Z']),
    ("scale vs/files --replicas=1", 0, [r"files scaled"]),
    ("get vs files -o jsonpath={.metadata.finalizers}", 0, [r'\A\["vault\.internal/teardown"\]\Z']),
    ("delete vs nope", 1, [r'vaultservices\.vault\.internal "nope" not found']),
    ("delete vs nope --ignore-not-found", 0, [r"\A\Z"]),
]  # fmt: skip


def test_a_story_of_writes(cluster: Cluster) -> None:
    for line, code, patterns in STORY:
        words = [word.replace("\0", " ") for word in line.replace("\\ ", "\0").split(" ")]
        words = [str(cluster.home / word) if word.endswith(".yaml") else word for word in words]
        done = cluster.kubectl(*words)
        printed = done.stdout + done.stderr
        assert done.returncode == code, f"{line}: {printed}"
        for pattern in patterns:
            assert re.search(pattern, printed, re.MULTILINE), f"{line}: {printed}"
    # The deletion waited for the finalizer, and is the controller's now.
    stored = cluster.application.objects.get("files")
    assert stored is not None
    assert stored.deletion is not None


def test_writes_are_in_the_audit_log_with_their_results_and_without_content(cluster: Cluster) -> None:
    cluster.apply(FIRST.replace("name: files", "name: audited"))
    assert cluster.kubectl("label", "vs", "audited", "hidden=treasure", role="edit").returncode == 0
    assert cluster.kubectl("label", "vs", "audited", "a=b", role="view").returncode == 1
    text = "".join((cluster.state / name).read_text() for name in ("audit.jsonl", "audit-refused.jsonl"))
    records = [json.loads(line) for line in text.splitlines()]
    mine = [each for each in records if each["name"] == "audited"]
    assert [(each["user"], each["role"], each["verb"], each["stage"], each.get("code")) for each in mine] == [
        ("edit", "edit", "patch", "asked", None), ("edit", "edit", "patch", "done", 200),
        ("view", "view", "patch", "refused", 403),
    ]  # fmt: skip
    assert mine[1]["client"] == "127.0.0.1"
    assert "treasure" not in text


def test_who_may_only_view_writes_nothing(cluster: Cluster) -> None:
    cluster.apply(FIRST.replace("name: files", "name: kept"))
    done = cluster.kubectl("delete", "vs", "kept", role="view")
    assert done.returncode == 1
    assert 'User "view" cannot delete resource "vaultservices"' in done.stderr
    assert cluster.application.objects.get("kept").deletion is None  # type: ignore[union-attr]


def sourced(cluster: Cluster, path: Path, kind: str, name: str) -> None:
    path.write_text(FIRST.replace("name: files", f"name: {name}"))
    (manifest,) = parse(path.read_text(), path)
    origin = Origin(kind, "infra#main" if kind == "git" else str(path.parent), path, manifest.line)  # type: ignore[arg-type]
    cluster.application.objects.apply(manifest.resource, origin)  # type: ignore[arg-type]


def test_an_object_of_a_directory_is_changed_in_its_file_which_keeps_its_comments(
    cluster: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "files.yaml"
    sourced(cluster, path, "directory", "filed")
    assert cluster.kubectl("scale", "vs/filed", "--replicas=5").returncode == 0
    assert "replicas: 5  # as many as there are disks\n" in path.read_text()
    assert cluster.kubectl("get", "vs", "filed", "-o", "jsonpath={.spec.replicas}").stdout == "5"
    before = path.read_text()
    refused = cluster.kubectl("label", "vs", "filed", "a=b")
    assert refused.returncode == 1
    assert "its metadata is only changed in the file" in refused.stderr
    refused = cluster.kubectl("delete", "vs", "filed")
    assert "remove it there" in refused.stderr
    assert path.read_text() == before


def test_an_object_of_a_repository_is_changed_only_there(cluster: Cluster, tmp_path: Path) -> None:
    sourced(cluster, tmp_path / "files.yaml", "git", "followed")
    done = cluster.kubectl("scale", "vs/followed", "--replicas=5")
    assert done.returncode == 1
    assert "is forbidden: it comes from the repository infra#main: change it there" in done.stderr
    assert cluster.kubectl("get", "vs", "followed", "-o", "jsonpath={.spec.replicas}").stdout == "3"


MINE = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: fought}
spec: {plugin: whoami, replicas: 5}
"""


def test_server_side_apply_and_a_repository_never_fight(cluster: Cluster, tmp_path: Path) -> None:
    """Neither the one nor the other may take a field back that the other has just set."""
    sourced(cluster, tmp_path / "files.yaml", "git", "fought")
    before = cluster.application.objects.get("fought")
    (tmp_path / "mine.yaml").write_text(MINE)
    for words in (
        [],
        ["--force-conflicts"],
        ["--dry-run=server"],
        ["--field-manager=other", "--force-conflicts"],
    ):
        done = cluster.kubectl("apply", "--server-side", "-f", str(tmp_path / "mine.yaml"), *words)
        assert done.returncode == 1, words
        assert "it comes from the repository infra#main: change it there" in done.stderr
    assert cluster.application.objects.get("fought") == before
    # Neither is it a second owner of what the repository says already.
    same = MINE.replace("replicas: 5", "replicas: 3")
    (tmp_path / "mine.yaml").write_text(same)
    done = cluster.kubectl("apply", "--server-side", "-f", str(tmp_path / "mine.yaml"))
    assert "change it there" in done.stderr
    # In a directory both write the same file, and the last one wins there as well.
    sourced(cluster, tmp_path / "edited.yaml", "directory", "shared")
    (tmp_path / "mine.yaml").write_text(MINE.replace("fought", "shared"))
    done = cluster.kubectl("apply", "--server-side", "-f", str(tmp_path / "mine.yaml"), "--force-conflicts")
    assert done.returncode == 0, done.stderr
    assert "replicas: 5  # as many as there are disks\n" in (tmp_path / "edited.yaml").read_text()
