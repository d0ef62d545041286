"""Writes crds/: the CustomResourceDefinition for Kubernetes tools and the JSON schema for editors.

Compose needs neither. They let `kubectl`, policy engines and editors validate the resources, and they keep the
resource within what Kubernetes accepts: structural schemas forbid much that JSON Schema allows.
`python -m reconciler.api.crd` writes the files; a test compares them with the models.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from reconciler.api.kinds import API_GROUP, KINDS, NAMESPACE, SERVED_VERSION, VAULT_SERVICE, Kind
from reconciler.api.schema import Schema, resource_schema, without_null
from reconciler.api.server_set import SERVER_SET

__all__ = [
    "custom_resource_definition",
    "editor_schema",
    "render_crd",
    "render_editor_schema",
    "structural",
    "write",
]

HEADER: Final = "# Generated from reconciler/api by `python -m reconciler.api.crd`; do not edit.\n"
IGNORED: Final = "Set by an API server; ignored in manifests."

# Keywords with the same meaning in JSON Schema and in structural schemas. `structural` raises for any other keyword.
# Kubernetes prunes unknown fields by itself, so additionalProperties: false is dropped.
_COPIED: Final = frozenset(
    {
        "type",
        "description",
        "default",
        "enum",
        "format",
        "pattern",
        "maxLength",
        "maxItems",
        "maxProperties",
        "minItems",
        "minimum",
        "maximum",
    }
)
_HANDLED: Final = frozenset(
    {"anyOf", "const", "exclusiveMinimum", "items", "properties", "required", "patternProperties"}
)
_DROPPED: Final = frozenset({"additionalProperties"})


def structural(schema: Schema) -> Schema:
    """The Kubernetes form of an inlined JSON schema. Raises ValueError for a keyword that has none."""
    body, nullable = without_null(schema)
    if unknown := set(body) - _COPIED - _HANDLED - _DROPPED:
        raise ValueError(f"no structural form for {', '.join(sorted(unknown))}")
    result: Schema = {key: value for key, value in body.items() if key in _COPIED}
    if nullable:
        result["nullable"] = True
    if "const" in body:
        result["enum"] = [body["const"]]
    if "exclusiveMinimum" in body:
        result |= {"minimum": body["exclusiveMinimum"], "exclusiveMinimum": True}
    if "anyOf" in body:
        result |= _int_or_string(body["anyOf"])
    if "items" in body:
        result["items"] = structural(body["items"])
        result |= _list_type(result["items"])
    if "properties" in body:
        result["properties"] = {name: structural(field) for name, field in body["properties"].items()}
    if body.get("required"):
        result["required"] = list(body["required"])
    if "patternProperties" in body:
        (values,) = body["patternProperties"].values()
        result["additionalProperties"] = structural(values)
    return result


def _int_or_string(choices: list[Schema]) -> Schema:
    # Kubernetes allows a single union, in this form. There, fractions of a second have to be written as text.
    pattern = next(choice["pattern"] for choice in choices if choice["type"] == "string")
    union: Schema = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
    return {**union, "pattern": pattern}


def _list_type(items: Schema) -> Schema:
    if items["type"] == "string":
        return {"x-kubernetes-list-type": "set"}
    if {"type", "status"} <= set(items["properties"]):
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    return {"x-kubernetes-list-type": "atomic"}


def custom_resource_definition(kind: Kind = VAULT_SERVICE) -> dict[str, Any]:
    """The CRD of a kind, with its subresources and the columns of `kubectl get`."""
    schema = structural(resource_schema(kind))
    name = schema["properties"]["metadata"]["properties"]["name"]
    schema["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        # The API server owns metadata; a CRD may restrict only the name and generateName.
        "metadata": {"type": "object", "properties": {"name": {**name, "type": "string"}}},
    }
    del schema["properties"]["metadata"]["properties"]["name"]["description"]
    schema["required"] = ["spec"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{API_GROUP}"},
        "spec": {
            "group": API_GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": list(kind.short_names),
            },
            "versions": [
                {
                    "name": SERVED_VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": [
                        {"name": column.title, "type": column.type, "jsonPath": column.path}
                        for column in kind.columns
                    ],
                    "subresources": {"status": {}, **_scale(kind)},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _scale(kind: Kind) -> dict[str, Any]:
    if kind.scale is None:
        return {}
    wanted, current = kind.scale
    return {"scale": {"specReplicasPath": wanted, "statusReplicasPath": current}}


def editor_schema(kind: Kind = VAULT_SERVICE) -> Schema:
    """JSON Schema 2020-12 for editors: completion, hover texts and errors while typing."""
    schema = resource_schema(kind)
    metadata = schema["properties"]["metadata"]
    ignored = {name: {"description": IGNORED} for name in SERVER_SET if name != "namespace"}
    namespace = {"description": "The only namespace there is.", "const": NAMESPACE}
    properties = {**metadata["properties"], "namespace": namespace, **ignored}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.name,
        **schema,
        "properties": {**schema["properties"], "metadata": {**metadata, "properties": properties}},
    }


def render_crd(kind: Kind = VAULT_SERVICE) -> str:
    """The text of crds/<plural>.vault.internal.yaml."""
    return HEADER + yaml.safe_dump(
        custom_resource_definition(kind), sort_keys=False, width=110, allow_unicode=True
    )


def render_editor_schema(kind: Kind = VAULT_SERVICE) -> str:
    """The text of crds/<kind>.schema.json."""
    return json.dumps(editor_schema(kind), indent=2, ensure_ascii=False) + "\n"


def write(directory: Path) -> list[Path]:
    """Writes both files of every kind into `directory` and returns their paths."""
    files = {}
    for kind in KINDS.values():
        files[directory / f"{kind.plural}.{API_GROUP}.yaml"] = render_crd(kind)
        files[directory / f"{kind.singular}.schema.json"] = render_editor_schema(kind)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    return list(files)


if __name__ == "__main__":
    for written in write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("crds")):
        print(written)
