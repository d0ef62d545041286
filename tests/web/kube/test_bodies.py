"""Bodies of requests: JSON and YAML are read, everything else is refused exactly as Kubernetes refuses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.kube.in_process import Answer, InProcess

SERVICES = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices"
FILES = f"{SERVICES}/files"
YAML = """
# a comment
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: wiki}
spec:
  plugin: whoami
  replicas: 2
"""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[InProcess]:
    with InProcess(tmp_path) as made:
        yield made


def ask(
    api: InProcess, method: str, path: str, media_type: str, body: str, query: bytes = b"", role: str = "edit"
) -> Answer:
    headers = [(b"content-type", media_type.encode()), *api.login(role)]
    return api.call(method, path, query, headers, body.encode())


def test_a_document_may_be_yaml(api: InProcess) -> None:
    created = ask(api, "POST", SERVICES, "application/yaml; charset=utf-8", YAML)
    assert created.code == 201
    document = json.loads(created.content)
    assert document["spec"]["replicas"] == 2
    version = f"metadata: {{name: wiki, resourceVersion: {document['metadata']['resourceVersion']!r}}}"
    changed = YAML.replace("metadata: {name: wiki}", version).replace("replicas: 2", "replicas: 4")
    updated = ask(api, "PUT", f"{SERVICES}/wiki", "application/yaml", changed)
    assert json.loads(updated.content)["spec"]["replicas"] == 4
    refused = ask(api, "POST", SERVICES, "application/yaml", "a: &x [*x]\nb: b: c")
    assert (refused.code, json.loads(refused.content)["reason"]) == (400, "BadRequest")


def test_a_strategic_merge_patch_has_the_answer_of_kubernetes(api: InProcess) -> None:
    """That is what a kube-apiserver says of a custom resource; kubectl and client libraries look at it."""
    answer = ask(api, "PATCH", FILES, "application/strategic-merge-patch+json", '{"spec": {"replicas": 2}}')
    assert answer.code == 415
    assert json.loads(answer.content) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
        "reason": "UnsupportedMediaType",
        "code": 415,
    }


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/vnd.kubernetes.protobuf"]
)
def test_another_format_is_415(api: InProcess, media_type: str) -> None:
    answer = ask(api, "POST", SERVICES, media_type, YAML)
    assert answer.code == 415
    assert json.loads(answer.content)["message"].endswith("application/json, application/yaml")


@pytest.mark.parametrize(
    ("query", "options"),
    [
        (b"propagationPolicy=Orphan", None),
        (b"", {"propagationPolicy": "Orphan"}),
        (b"", {"orphanDependents": True}),
        (b"propagationPolicy=Background", {"propagationPolicy": ["x"]}),
    ],
)
def test_a_deletion_that_leaves_what_runs_is_refused(api: InProcess, query: bytes, options: Any) -> None:
    answer = ask(api, "DELETE", FILES, "application/json", json.dumps(options) if options else "", query)
    assert answer.code == 422
    (cause,) = json.loads(answer.content)["details"]["causes"]
    assert cause["field"] == "propagationPolicy"
    assert "what runs goes with its object" in cause["message"]
    stored = api.application.objects.get("files")
    assert stored is not None
    assert stored.deletion is None


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_other_deletions_are_done(api: InProcess, policy: str) -> None:
    answer = ask(api, "DELETE", FILES, "application/json", json.dumps({"propagationPolicy": policy}))
    assert answer.code == 200
    assert json.loads(answer.content)["metadata"]["deletionTimestamp"]
