"""Whatever a client sends, the answer is a Status or a document, never a defect; and each role does only what it may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.api import parse
from reconciler.cli.api_serving import assemble
from reconciler.store.base import Origin
from reconciler.web.kube.app import MAX_BODY_BYTES, create_app
from reconciler.wiring import Options, wire

BASE = "/apis/vault.internal/v1alpha1/namespaces/default/vaultservices"
MANIFEST = "{apiVersion: vault.internal/v1alpha1, kind: VaultService, metadata: {name: files}, spec: {plugin: whoami}}"
SECRET = "hunter2-hunter2"


class Api:
    """An API in this process, and a token for each role."""

    def __init__(self, home: Path) -> None:
        (home / "state").mkdir(mode=0o711)
        self.application = wire(Options(state_dir=home / "state"))
        path = home / "files.yaml"
        (manifest,) = parse(MANIFEST, path)
        self.application.objects.apply(manifest.resource, Origin("apply", "", path, 1))  # type: ignore[arg-type]
        self.parts = assemble(self.application)
        tokens = self.parts.api.clients.tokens
        self.tokens = {role: tokens.create(role, role, None)[1] for role in ("view", "edit", "admin")}
        self._transport = httpx.ASGITransport(create_app(self.parts.api), raise_app_exceptions=False)

    def ask(self, method: str, path: str, role: str | None = "admin", **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if role is not None:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="https://vault") as client:
                return await client.request(method, path, headers=headers, **options)

        return asyncio.run(send())


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(tmp_path_factory.mktemp("hostile"))
    yield made
    made.parts.versions.close()


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        status = answer.json()
        assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", answer.status_code)
        assert status["reason"]
        assert status["message"]


SEGMENTS = st.sampled_from(
    ["api", "apis", "v1", "vault.internal", "v1alpha1", "namespaces", "default", "other", "vaultservices", "vaultgateways",
     "files", "scale", "status", "events", "customresourcedefinitions", "openapi", "v2", "v3", "version", "..", "%2e%2e",
     "%00", "a/b", "", "selfsubjectaccessreviews", "authorization.k8s.io", "apiextensions.k8s.io"]
)  # fmt: skip
PATHS = st.lists(SEGMENTS, max_size=8).map(lambda steps: "/" + "/".join(steps)) | st.sampled_from(
    [BASE, f"{BASE}/files", f"{BASE}/files/scale"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["files", "whoami"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["apiVersion", "kind", "metadata", "spec", "name", "plugin", "replicas", "finalizers", "managedFields", "op",
             "path", "value", "annotations", "labels", "resourceVersion", "uid", "env", "ownerReferences", "preconditions"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
BODIES = JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)
TYPES = st.sampled_from(
    ["application/json", "application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml",
     "application/strategic-merge-patch+json", "application/vnd.kubernetes.protobuf", "text/plain", ""]
)  # fmt: skip
QUERIES = st.dictionaries(
    st.sampled_from(["limit", "continue", "labelSelector", "fieldSelector", "resourceVersion", "dryRun", "fieldManager",
                     "force", "fieldValidation", "includeObject", "timeoutSeconds"]),
    st.sampled_from(["", "1", "All", "Strict", "a=b", "metadata.name=files", "true", "\x00", "💥", "Object"]),
    max_size=4,
)  # fmt: skip


@settings(max_examples=300)
@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    PATHS,
    QUERIES,
    TYPES,
    BODIES,
    st.sampled_from([None, "view", "edit", "admin"]),
)
def test_no_request_is_a_defect_and_no_role_does_what_it_may_not(
    api: Api, method: str, path: str, query: dict[str, str], type_: str, body: bytes, role: str | None
) -> None:
    before = api.parts.versions.documents("VaultService")
    answer = api.ask(method, path, role, params=query, headers={"Content-Type": type_}, content=body)
    if method != "HEAD":
        check(answer)
    if role is None and path.strip("/") not in ("healthz", "livez", "readyz"):
        assert answer.status_code in (401, 405)
    if role in (None, "view") or method in ("GET", "HEAD"):
        assert api.parts.versions.documents("VaultService")[1] == before[1]


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(["spec", "metadata", "status", "kind"]), JSON, max_size=3))
def test_no_patch_is_a_defect(api: Api, patch: dict[str, Any]) -> None:
    for type_ in ("merge-patch+json", "apply-patch+yaml"):
        headers = {"Content-Type": f"application/{type_}"}
        answer = api.ask(
            "PATCH", f"{BASE}/files?fieldManager=x&force=true", headers=headers, content=json.dumps(patch)
        )
        check(answer)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"metadata": {"name": "\\ud800"}}',
        b"&a [*a, *a]",
        b"\xff\xfe",
        b"1e999999",
    ],
)
@pytest.mark.parametrize("type_", ["json", "merge-patch+json", "json-patch+json", "apply-patch+yaml"])
def test_deep_broken_and_recursive_bodies_are_refused(api: Api, body: bytes, type_: str) -> None:
    method, path = ("PUT", f"{BASE}/files") if type_ == "json" else ("PATCH", f"{BASE}/files?fieldManager=x")
    answer = api.ask(method, path, headers={"Content-Type": f"application/{type_}"}, content=body)
    check(answer)
    assert answer.status_code >= 400


def test_a_json_patch_that_nests_without_end_is_refused(api: Api) -> None:
    """Each body is flat: what the operations come to is not."""
    adds = [{"op": "add", "path": "/spec/env" + "/a" * number, "value": {}} for number in range(1500)]
    headers = {"Content-Type": "application/json-patch+json"}
    answer = api.ask("PATCH", f"{BASE}/files", headers=headers, json=adds)
    check(answer)
    assert answer.status_code == 422
    assert "nested deeper than 50 levels" in answer.text


OUT_OF_REACH: list[tuple[str, Any, int]] = [
    # What is added where, and the answer.
    ("/metadata/uid", "x", 409),
    ("/metadata/resourceVersion", "1", 409),
    ("/metadata/name", "x", 422),
    ("/metadata/namespace", "x", 422),
    ("/kind", "VaultGateway", 422),
    ("/apiVersion", "v1", 422),
    ("/metadata/annotations", {"vault.internal/admission": "privileged"}, 422),
    ("/metadata/annotations", {"vault.internal/origin": "git"}, 200),
    ("/metadata/finalizers", ["vault.internal/teardown"], 200),
    ("/metadata/generation", 99, 200),
    ("/metadata/creationTimestamp", "2020-01-01T00:00:00Z", 200),
    ("/metadata/deletionTimestamp", "2020-01-01T00:00:00Z", 200),
    ("/metadata/managedFields", [{}], 200),
    ("/metadata/evicted", "x", 200),
    ("/status", {"observedGeneration": 9}, 200),
    ("/origin", "git", 200),
    ("/spec/__class__", {"a": ["b"]}, 200),
]


@pytest.mark.parametrize("type_", ["json-patch+json", "merge-patch+json", "apply-patch+yaml"])
def test_a_patch_changes_nothing_that_is_not_a_clients(tmp_path: Path, type_: str) -> None:
    """What it may not set is refused, or is as if it had not been sent: neither written nor owned."""
    made = Api(tmp_path)

    def patch(body: Any) -> httpx.Response:
        headers = {"Content-Type": f"application/{type_}"}
        return made.ask("PATCH", f"{BASE}/files?fieldManager=me", "edit", headers=headers, json=body)

    identity = {"apiVersion": "vault.internal/v1alpha1", "kind": "VaultService"}
    if type_.startswith("apply"):
        # The first one names the owner of what was there before.
        assert patch(identity | {"metadata": {}}).status_code == 200
    before = made.ask("GET", f"{BASE}/files").json()
    for path, value, code in OUT_OF_REACH:
        first, *rest = path.strip("/").split("/")
        partial = {first: {rest[0]: value} if rest else value}
        if type_.startswith("json"):
            answer = patch([{"op": "add", "path": path, "value": value}])
        elif type_.startswith("merge"):
            answer = patch(partial)
        else:
            code = 422 if path.endswith("managedFields") else code
            answer = patch(identity | partial)
        check(answer)
        assert answer.status_code == code, (path, answer.text)
        assert made.ask("GET", f"{BASE}/files").json() == before, path
    made.parts.versions.close()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "path", [f"{BASE}/%0A", f"{BASE}/files%0A", f"{BASE}%0A", "/apis/vault.internal/v1alpha1/users/%0A"]
)
def test_a_line_end_is_a_part_of_a_path(api: Api, method: str, path: str) -> None:
    """Without it the name of an object were that of another one, or the path that of all objects."""
    answer = api.ask(method, path)
    assert answer.status_code in (403, 404)
    assert answer.json()["kind"] == "Status"
    assert api.ask("GET", f"{BASE}/files").status_code == 200


def test_an_object_has_a_size(api: Api) -> None:
    spec = {"plugin": "whoami", "env": {f"A{number}": "x" * 130_000 for number in range(9)}}
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = api.ask("PATCH", f"{BASE}/files", headers=headers, json={"spec": spec})
    check(answer)
    assert answer.status_code == 422
    assert "spec: takes the object beyond 1024 KiB of JSON" in answer.text


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (
            {"annotations": {"a": "x" * 256 * 1024}},
            "metadata.annotations: must have at most 262144 characters",
        ),
        (
            {"finalizers": [f"a.io/{number}" for number in range(101)]},
            "metadata.finalizers: must be a list of at",
        ),
        ({"ownerReferences": [{}] * 101}, "metadata.ownerReferences: must be a list of at most 100"),
    ],
)
def test_metadata_has_a_size(api: Api, metadata: dict[str, Any], says: str) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = api.ask("PATCH", f"{BASE}/files", headers=headers, json={"metadata": metadata})
    check(answer)
    assert answer.status_code == 422
    assert says in answer.text


@pytest.mark.parametrize("asked", [{"verb": ["get"]}, {"resource": {"a": 1}}, ["get"], "get", 7])
@pytest.mark.parametrize("form", ["resourceAttributes", "nonResourceAttributes"])
def test_a_question_that_is_not_made_of_texts_is_refused_and_not_repeated(
    api: Api, form: str, asked: Any
) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = api.ask("POST", path, "view", json={"spec": {form: asked}})
    check(answer)
    assert answer.status_code == 400


def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    answer = api.ask("POST", BASE, content=b"x" * (MAX_BODY_BYTES + 1))
    check(answer)
    assert answer.status_code == 413


def test_an_error_repeats_no_value(api: Api) -> None:
    document = {
        "apiVersion": "vault.internal/v1alpha1",
        "kind": "VaultService",
        "metadata": {"name": "files", "resourceVersion": "1"},
        "spec": {
            "plugin": "whoami",
            "replicas": SECRET,
            "env": {"A": {"B": SECRET}},
            "envFrom": [{"file": SECRET}],
        },
    }
    answer = api.ask("PUT", f"{BASE}/files", json=document)
    check(answer)
    assert answer.status_code >= 400
    assert SECRET not in answer.text
    assert SECRET not in (api.application.options.state_dir / "audit.jsonl").read_text()


def test_a_write_that_cannot_be_logged_is_not_done(api: Api) -> None:
    # Requests of another test may have deleted the one that all of them are about.
    path = Path("kept.yaml")
    (manifest,) = parse(MANIFEST.replace("files", "kept"), path)
    api.application.objects.apply(manifest.resource, Origin("apply", "", path, 1))  # type: ignore[arg-type]
    log = api.application.options.state_dir / "audit.jsonl"
    log.unlink(missing_ok=True)
    log.mkdir()
    try:
        answer = api.ask("DELETE", f"{BASE}/kept")
    finally:
        log.rmdir()
    assert answer.status_code == 503
    stored = api.application.objects.get("kept")
    assert stored is not None
    assert stored.deletion is None
