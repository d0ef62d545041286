"""What `kubectl get -o yaml` prints is read like what a user wrote: server-set metadata and lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.edit import edit_manifest
from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE, Ref
from reconciler.api.manifest import Survey, load, parse, survey, survey_text

PLAIN: dict[str, Any] = {
    "apiVersion": "vault.internal/v1alpha1",
    "kind": "VaultService",
    "metadata": {"name": "files", "labels": {"team": "web"}, "annotations": {"note": "kept"}},
    "spec": {"plugin": "whoami", "replicas": 2},
}
SERVED: dict[str, Any] = {
    **PLAIN,
    "metadata": {
        **PLAIN["metadata"],
        "annotations": {
            "note": "kept",
            "kubectl.kubernetes.io/last-applied-configuration": '{"apiVersion":"vault.internal/v1alpha1"}\n',
        },
        "namespace": "default",
        "uid": "0d5b0d9e-6f8f-4bb1-9d1f-7a0c3f4a2c11",
        "resourceVersion": "1024",
        "generation": 7,
        "creationTimestamp": "2026-05-01T12:00:00Z",
        "deletionTimestamp": None,
        "deletionGracePeriodSeconds": 0,
        "selfLink": "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices/files",
        "generateName": "fi",
        "finalizers": ["example.org/backup"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1"}],
        "managedFields": [
            {
                "manager": "kubectl",
                "operation": "Apply",
                "fieldsV1": {"f:spec": {".": {}, "f:plugin": {}}, 'k:{"type":"Ready"}': {}},
            }
        ],
    },
    "status": {"replicas": "whatever"},
}
GATEWAY = {**PLAIN, "kind": "VaultGateway", "metadata": {"name": "main"}, "spec": {}}
FOREIGN = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "aGk="}}


def listed(*items: object, version: str = "v1", kind: str = "List") -> str:
    document = {
        "apiVersion": version,
        "items": list(items),
        "kind": kind,
        "metadata": {"resourceVersion": ""},
    }
    return yaml.safe_dump(document, sort_keys=False)


def written(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False)


def names(found: Survey) -> list[str]:
    return [each.resource.ref.label for each in found.manifests]


def test_what_a_server_sets_makes_no_difference() -> None:
    (served,) = parse(written(SERVED), Path("f.yaml"))
    (plain,) = parse(written(PLAIN), Path("f.yaml"))
    assert served.resource.spec == plain.resource.spec
    kept = served.resource.metadata.to_document()
    assert {**kept, "generation": 1} == plain.resource.metadata.to_document()


@pytest.mark.parametrize("namespace", ["kube-system", "Default", 7, ["default"], {"a": 1}])
def test_another_namespace_is_refused_with_the_reason_and_the_place(namespace: object) -> None:
    document = {**PLAIN, "metadata": {"name": "files", "namespace": namespace}}
    found = survey_text(written(document), Path("f.yaml"))
    assert not found.manifests
    (problem,) = found.problems
    assert problem.line == 5 + (not isinstance(namespace, str | int))
    assert str(problem).endswith(
        "metadata.namespace: must be default: there are no other namespaces, and a name is used once on a machine; "
        "leave the field out"
    )


@pytest.mark.parametrize("namespace", ["default", "", None])
def test_the_namespace_that_there_is(namespace: str | None) -> None:
    document = {**PLAIN, "metadata": {"name": "files", "namespace": namespace}}
    assert names(survey_text(written(document), Path("f.yaml"))) == ["files"]


def test_other_metadata_is_still_a_mistake() -> None:
    document = {**PLAIN, "metadata": {"name": "files", "resourceVersions": "1"}}
    (problem,) = survey_text(written(document), Path("f.yaml")).problems
    assert "metadata.resourceVersions: is not a known field" in str(problem)


LISTS = {
    "of all kinds": (listed(SERVED, GATEWAY), ["files", "vaultgateway/main"]),
    "of one kind": (listed(SERVED, version="vault.internal/v1alpha1", kind="VaultServiceList"), ["files"]),
    "of the other kind": (
        listed(GATEWAY, version="vault.internal/v1alpha1", kind="VaultGatewayList"),
        ["vaultgateway/main"],
    ),
    "with objects of others": (listed(FOREIGN, SERVED, FOREIGN), ["files"]),
    "beside documents": (listed(SERVED) + "---\n" + written(GATEWAY), ["files", "vaultgateway/main"]),
}


@pytest.mark.parametrize("what", LISTS)
def test_a_list_is_read_as_its_items(what: str, tmp_path: Path) -> None:
    text, expected = LISTS[what]
    (tmp_path / "all.yaml").write_text(text)
    for found in (survey_text(text, Path("-")), survey(tmp_path), survey(tmp_path / "all.yaml")):
        assert not found.problems
        assert names(found) == expected
        assert bool(found.foreign) is ("Secret" in text)


def test_a_mistake_in_an_item_has_its_line() -> None:
    wrong = {**PLAIN, "spec": {"plugin": "whoami", "replicas": "two"}}
    (problem,) = survey_text(listed(GATEWAY, wrong), Path("f.yaml")).problems
    assert (problem.field, problem.line) == ("spec.replicas", 18)


def test_two_items_of_one_name_are_a_conflict() -> None:
    found = survey_text(listed(SERVED, PLAIN), Path("f.yaml"))
    assert "files is already defined at f.yaml:" in str(found.problems[0])


def test_a_list_of_others_has_nothing_for_us(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(written(PLAIN))
    (tmp_path / "list.yaml").write_text(listed(FOREIGN))
    found = survey(tmp_path)
    assert (names(found), found.foreign, found.doubts) == (["files"], (tmp_path / "list.yaml",), ())
    assert "there is no VaultService" in str(survey_text(listed(), Path("f.yaml")).problems[0])


@given(cut=st.integers(1, len(listed(PLAIN)) - 1))
def test_a_list_that_is_half_written_is_no_deletion(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("half")
    (directory / "other.yaml").write_text(written(GATEWAY))
    (directory / "list.yaml").write_text(
        written({"apiVersion": "v1", "kind": "List", "items": [PLAIN]})[:cut]
    )
    found = survey(directory)
    assert found.problems or found.doubts or names(found) == ["files", "vaultgateway/main"]


def test_an_item_of_a_list_is_edited_alone(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    wiki = {**PLAIN, "metadata": {"name": "wiki"}, "spec": {"plugin": "whoami", "ports": {"http": 8081}}}
    text = f"{written(FOREIGN)}---\n---\n# first\n{listed(FOREIGN, GATEWAY, PLAIN)}---\n{written(wiki)}"
    file.write_text(text)
    edit = edit_manifest(file, Ref(VAULT_SERVICE, "files"), {"replicas": 5, "env.LEVEL": "debug"})
    assert edit.old == {"replicas": 2, "env.LEVEL": None}
    changed = edit.after.replace("replicas: 5", "replicas: 2").replace("    env: {LEVEL: debug}\n", "")
    assert changed == text
    file.write_text(edit.after)
    after = {each.resource.name: each.resource for each in load(file)}
    assert (after["files"].spec.replicas, after["wiki"].spec.replicas) == (5, None)
    removed = edit_manifest(file, Ref(VAULT_SERVICE, "files"), {"env.LEVEL": None, "replicas": None})
    assert "replicas: 5" not in removed.after
    with pytest.raises(Exception, match="no longer holds VaultGateway 'other'"):
        edit_manifest(file, Ref(VAULT_GATEWAY, "other"), {"replicas": 5})
