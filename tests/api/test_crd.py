"""The two schemas in crds/ match the models, are valid for their tools, and agree with the loader."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from reconciler.api.crd import (
    custom_resource_definition,
    editor_schema,
    render_crd,
    render_editor_schema,
    structural,
)
from reconciler.api.reference import EXAMPLE
from reconciler.api.vaultservice import VaultService

CRDS = Path(__file__).parents[2] / "crds"

SCALARS = {"string", "integer", "number", "boolean"}
ALLOWED = {
    "additionalProperties",
    "anyOf",
    "default",
    "description",
    "enum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxLength",
    "maxItems",
    "minItems",
    "maximum",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
}


def violations(schema: dict[str, Any], path: str = "root") -> Iterator[str]:
    """The rules of structural schemas that apply to what we use, each written down once."""
    if unknown := set(schema) - ALLOWED:
        yield f"{path}: keywords {unknown} are not allowed"
    if schema.get("x-kubernetes-int-or-string"):
        if schema.get("anyOf") != [{"type": "integer"}, {"type": "string"}] or "type" in schema:
            yield f"{path}: int-or-string has one legal spelling"
    elif "anyOf" in schema:
        yield f"{path}: anyOf without int-or-string"
    elif schema.get("type") not in SCALARS | {"object", "array"}:
        yield f"{path}: no type"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{path}: properties and additionalProperties exclude each other"
    if schema.get("additionalProperties") is False:
        yield f"{path}: additionalProperties: false is forbidden"
    if "exclusiveMinimum" in schema and (schema["exclusiveMinimum"] is not True or "minimum" not in schema):
        yield f"{path}: exclusiveMinimum is a boolean beside minimum"
    if (schema.get("type") == "object") is not ("properties" in schema or "additionalProperties" in schema):
        yield f"{path}: objects and only objects have fields"
    if (schema.get("type") == "array") is not ("items" in schema):
        yield f"{path}: lists and only lists have items"
    if schema.get("type") == "array":
        yield from list_violations(schema, path)
    if missing := set(schema.get("required", ())) - set(schema.get("properties", {})):
        yield f"{path}: required but unknown: {missing}"
    if "default" in schema:
        problems = openapi(schema).iter_errors(schema["default"])
        yield from (f"{path}: bad default: {problem.message}" for problem in problems)
    for name, inner in schema.get("properties", {}).items():
        if (path, name) == ("root", "metadata") and set(inner["properties"]) - {"name", "generateName"}:
            yield "metadata: only name and generateName may be restricted"
        yield from violations(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from violations(schema[key], f"{path}.{key}")


def list_violations(schema: dict[str, Any], path: str) -> Iterator[str]:
    items, kind = schema["items"], schema.get("x-kubernetes-list-type")
    if kind not in ("atomic", "set", "map"):
        yield f"{path}: a list says how it merges"
    if kind == "set" and items["type"] not in SCALARS:
        yield f"{path}: only scalars make a set"
    if kind == "map" and not set(schema["x-kubernetes-list-map-keys"]) <= set(items["required"]):
        yield f"{path}: the keys of a list map are required"


def openapi(schema: dict[str, Any]) -> jsonschema.Draft4Validator:
    # OpenAPI 3.0 took exclusiveMinimum from draft 4; nullable only adds null, which no test value has.
    return jsonschema.Draft4Validator(schema)


def root_schema() -> dict[str, Any]:
    (version,) = custom_resource_definition()["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def test_the_files_are_what_the_models_say() -> None:
    assert (CRDS / "vaultservices.vault.internal.yaml").read_text(encoding="utf-8") == render_crd()
    assert (CRDS / "vaultservice.schema.json").read_text(encoding="utf-8") == render_editor_schema()


def test_the_module_writes_both_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reconciler.api.crd", str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text(encoding="utf-8") for path in CRDS.iterdir()}
    assert sorted(done.stdout.split()) == sorted(f"{tmp_path}/{name}" for name in written)


def test_the_schema_is_structural() -> None:
    assert list(violations(root_schema())) == []


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"type": "null"},
        {"anyOf": [{"type": "string"}]},
        {
            "type": "string",
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
        },
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {}}},
        {"type": "array", "items": {"type": "string"}},
        {"type": "string", "$ref": "#/x"},
        {"type": "string", "default": 3},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
    ],
    ids=str,
)
def test_the_checker_finds_what_kubernetes_refuses(bad: dict[str, Any]) -> None:
    assert list(violations({"type": "object", "properties": {"spec": bad}}))


def test_an_unknown_keyword_is_not_copied_in_silence() -> None:
    with pytest.raises(ValueError, match="no structural form for uniqueItems"):
        structural({"type": "array", "items": {"type": "string"}, "uniqueItems": True})


def test_the_definition_around_the_schema() -> None:
    crd = yaml.safe_load(render_crd())
    (version,) = crd["spec"]["versions"]
    names = crd["spec"]["names"]
    assert crd["metadata"]["name"] == f"{names['plural']}.{crd['spec']['group']}"
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    columns = version["additionalPrinterColumns"]
    assert [column["name"] for column in columns] == ["Plugin", "Replicas", "Serving", "Ready", "Age"]
    paths = [
        *version["subresources"]["scale"].values(),
        *(c["jsonPath"] for c in columns if "[" not in c["jsonPath"]),
    ]
    for path in (path for path in paths if path != ".metadata.creationTimestamp"):
        schema = root_schema()
        for step in path.strip(".").split("."):
            schema = schema["properties"][step]
        assert schema["type"] in SCALARS


def document(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "vault.internal/v1alpha1",
        "kind": "VaultService",
        "metadata": {"name": "files"},
        "spec": {"plugin": "whoami", **spec},
    }


GOOD = [
    document(),
    yaml.safe_load(EXAMPLE),
    document(replicas=1000, rotation={"interval": "1h"}, restartedAt="2026-05-01T12:00:00Z"),
    document(replicas=0),
    document(strategy={"rollingUpdate": {"maxSurge": 2, "maxUnavailable": "50%"}, "type": "Recreate"}),
    document(
        healthcheck={"interval": 5, "path": "/x?y=%20"}, env={"A_B.c": "x"}, envFrom=[{"file": "a b.env"}]
    ),
]
BAD = [
    document(plugin="A"),
    document(replicas=-1),
    document(replicas="3"),
    document(ports={"http": 65536}),
    document(env={"A": 1}),
    document(envFrom=["x"]),
    document(healthcheck={"path": "/$X"}),
    document(healthcheck={"interval": "1x"}),
    document(strategy={"progressDeadlineSeconds": 0}),
    document(strategy={"rollingUpdate": {"maxSurge": "x%"}}),
    document(strategy={"type": "rolling"}),
    document(rotation={}),
    document(dependsOn="db"),
    document(suspend="no"),
]
# Wrong for the loader and the editor; Kubernetes prunes unknown fields and has no pattern for keys.
BAD_FOR_EDITORS = [
    document(unknown=1),
    document(env={"1A": "x"}),
    document(envFrom=[{"file": "a", "path": "b"}]),
    {"metadata": {"name": "a"}, "spec": {"plugin": "a"}},
]


@pytest.mark.parametrize("sample", GOOD)
def test_a_good_document_is_good_everywhere(sample: dict[str, Any]) -> None:
    whole = VaultService.model_validate(sample)
    for valid in (sample, whole.to_document()):
        jsonschema.Draft202012Validator(editor_schema()).validate(valid)
        openapi(root_schema()).validate(valid)


@pytest.mark.parametrize("sample", BAD, ids=json.dumps)
def test_a_bad_document_is_bad_everywhere(sample: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VaultService.model_validate(sample)
    assert not jsonschema.Draft202012Validator(editor_schema()).is_valid(sample)
    assert not openapi(root_schema()).is_valid(sample)


@pytest.mark.parametrize("sample", BAD_FOR_EDITORS, ids=json.dumps)
def test_editors_see_also_what_kubernetes_lets_pass(sample: dict[str, Any]) -> None:
    assert not jsonschema.Draft202012Validator(editor_schema()).is_valid(sample)


def test_the_editor_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(editor_schema())


def test_status_is_part_of_both() -> None:
    condition = {"type": "Ready", "status": "True", "reason": "Serving"}
    sample = {**document(), "status": {"observedGeneration": 2, "conditions": [condition]}}
    jsonschema.Draft202012Validator(editor_schema()).validate(sample)
    openapi(root_schema()).validate(sample)
    condition["status"] = "yes"
    assert not openapi(root_schema()).is_valid(sample)
