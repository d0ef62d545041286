"""OpenAPI documents, from the models: `kubectl explain` prints them, and kubectl learns from them what a server can do.

Version 3 is served in parts, one for each group, as Kubernetes does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from reconciler.api.crd import custom_resource_definition
from reconciler.web.kube.served import RESOURCES, REVIEWS, Served

__all__ = ["index", "part", "swagger"]

Schema = dict[str, Any]

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
_OBJECT_META: Final = f"{_META}.ObjectMeta"
_LIST_META: Final = f"{_META}.ListMeta"
_GVK: Final = "x-kubernetes-group-version-kind"
_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string", "default": ""}}

_METADATA: Final[Mapping[str, tuple[str, Schema]]] = {
    "name": ("The name; unique within its kind.", _TEXT),
    "generateName": ("A prefix; the server appends random letters to it when there is no name.", _TEXT),
    "namespace": ("The only namespace is default.", _TEXT),
    "labels": ("Labels for selecting and grouping.", _TEXTS),
    "annotations": ("Annotations; selectors do not see them.", _TEXTS),
    "uid": ("Another one for each object that had this name; set by the server.", _TEXT),
    "resourceVersion": (
        "The number of the last change; a write that has an older one is refused; set by the server.",
        _TEXT,
    ),
    "generation": ("Counts changes of the spec; set by the server.", {"type": "integer", "format": "int64"}),
    "creationTimestamp": ("When the object was created; set by the server.", _TIME),
    "deletionTimestamp": ("When its deletion was requested; set by the server.", _TIME),
    "deletionGracePeriodSeconds": ("Always 0; set by the server.", {"type": "integer", "format": "int64"}),
    "finalizers": (
        "What has to be done before a requested deletion begins; clients remove their own.",
        {"type": "array", "items": {"type": "string", "default": ""}, "x-kubernetes-list-type": "set"},
    ),
    "ownerReferences": (
        "The objects that this one belongs to; stored, and not acted on.",
        {"type": "array", "items": {"type": "object"}},
    ),
    "managedFields": (
        "Which client has set which field; set by the server.",
        {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "atomic"},
    ),
}


def index() -> dict[str, Any]:
    """The answer to /openapi/v3: where the parts are."""
    paths = dict.fromkeys(_path_of(each) for each in RESOURCES)
    return {
        "paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_digest(path)}"} for path in paths}
    }


@cache
def part(path: str) -> dict[str, Any] | None:
    """The document of a group and version, such as apis/vault.internal/v1alpha1; None when it is not served."""
    resources = [each for each in RESOURCES if _path_of(each) == path]
    if not resources:
        return None
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {_OBJECT_META: _object_meta(), _LIST_META: _list_meta()}
    for each in resources:
        paths |= _paths(each)
        schemas |= _schemas(each)
    return {
        "openapi": "3.0.0",
        "info": {"title": "vault-reconciler", "version": "v1alpha1"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"BearerToken": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"BearerToken": []}],
    }


@cache
def swagger() -> dict[str, Any]:
    """The answer to /openapi/v2: the schemas of all groups, for clients that know no version 3."""
    schemas: dict[str, Any] = {}
    for path in dict.fromkeys(_path_of(each) for each in RESOURCES):
        schemas |= (part(path) or {})["components"]["schemas"]
    text = json.dumps(schemas).replace("#/components/schemas/", "#/definitions/")
    return {
        "swagger": "2.0",
        "info": {"title": "vault-reconciler", "version": "v1alpha1"},
        "paths": {},
        "definitions": json.loads(text),
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}},
    }


def _path_of(served: Served) -> str:
    return f"apis/{served.api_version}" if served.group else f"api/{served.version}"


def _digest(path: str) -> str:
    return hashlib.sha256(json.dumps(part(path), sort_keys=True).encode()).hexdigest()[:32].upper()


def _gvk(served: Served) -> dict[str, str]:
    return {"group": served.group, "version": served.version, "kind": served.kind}


def _name_of(served: Served) -> str:
    group = ".".join(reversed(served.group.split("."))) or "io.k8s.api.core"
    return f"{group}.{served.version}.{served.kind}"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas(served: Served) -> dict[str, Any]:
    name = _name_of(served)
    schema = _schema(served)
    properties = {
        **schema["properties"],
        "apiVersion": {**_TEXT, "description": f"Always {served.api_version}."},
        "kind": {**_TEXT, "description": f"Always {served.kind}."},
        # explain and validation show and check the metadata that servers know, not only that of a manifest.
        "metadata": {"description": "Identity of the object.", "default": {}, "allOf": [_ref(_OBJECT_META)]},
    }
    found = {name: {**schema, "properties": properties, _GVK: [_gvk(served)]}}
    if "list" in served.verbs:
        found[f"{name}List"] = {
            "type": "object",
            "description": f"A list of {served.plural}.",
            "required": ["items"],
            "properties": {
                "apiVersion": _TEXT,
                "kind": _TEXT,
                "metadata": {"default": {}, "allOf": [_ref(_LIST_META)]},
                "items": {"type": "array", "items": {"default": {}, "allOf": [_ref(name)]}},
            },
            _GVK: [{**_gvk(served), "kind": f"{served.kind}List"}],
        }
    return found


def _schema(served: Served) -> Schema:
    if served.of is None:
        free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        return {
            "type": "object",
            "description": f"A {served.kind} of Kubernetes.",
            "properties": {"spec": free, "status": free},
        }
    (version,) = custom_resource_definition(served.of)["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def _object_meta() -> Schema:
    properties = {name: {"description": text, **schema} for name, (text, schema) in _METADATA.items()}
    return {"type": "object", "description": "Metadata of an object.", "properties": properties}


def _list_meta() -> Schema:
    properties = {
        "resourceVersion": {**_TEXT, "description": "The number from which a watch goes on."},
        "continue": {**_TEXT, "description": "Asks for the next page."},
        "remainingItemCount": {
            "type": "integer",
            "format": "int64",
            "description": "Objects on later pages.",
        },
    }
    return {"type": "object", "description": "Metadata of a list.", "properties": properties}


_OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "get": (),
    "list": ("labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch", "watch",
             "allowWatchBookmarks", "sendInitialEvents", "timeoutSeconds"),
    "post": ("dryRun", "fieldManager", "fieldValidation"),
    "put": ("dryRun", "fieldManager", "fieldValidation"),
    "patch": ("dryRun", "fieldManager", "fieldValidation", "force"),
    "delete": ("dryRun", "gracePeriodSeconds", "propagationPolicy"),
}  # fmt: skip
_ACTIONS: Final = {
    "get": "get",
    "list": "list",
    "post": "create",
    "put": "update",
    "patch": "patch",
    "delete": "delete",
}
_TYPES: Final = {"watch": "boolean", "allowWatchBookmarks": "boolean", "sendInitialEvents": "boolean", "force": "boolean",
                 "limit": "integer", "timeoutSeconds": "integer", "gracePeriodSeconds": "integer"}  # fmt: skip
_PATCHES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
)


def _paths(served: Served) -> dict[str, Any]:
    root = f"/{_path_of(served)}"
    whole = f"{root}/{served.plural}"
    base = f"{root}/namespaces/{{namespace}}/{served.plural}" if served.namespaced else whole
    found: dict[str, Any] = {}
    of_all = {method: verb for method, verb in (("get", "list"), ("post", "post")) if _knows(served, verb)}
    found[base] = _operations(served, of_all, namespaced=served.namespaced, named=False)
    if served.namespaced:
        found[whole] = _operations(served, {"get": "list"}, namespaced=False, named=False)
    if served not in REVIEWS:
        of_one = {method: method for method in ("get", "put", "patch", "delete") if _knows(served, method)}
        found[f"{base}/{{name}}"] = _operations(served, of_one, namespaced=served.namespaced, named=True)
    return found


def _knows(served: Served, action: str) -> bool:
    return _ACTIONS[action] in served.verbs


def _operations(
    served: Served, methods: Mapping[str, str], *, namespaced: bool, named: bool
) -> dict[str, Any]:
    places = [*(["namespace"] if namespaced else []), *(["name"] if named else [])]
    parameters = [{"name": each, "in": "path", "required": True, "schema": _TEXT} for each in places]
    return {
        **{method: _operation(served, action) for method, action in methods.items()},
        **({"parameters": parameters} if parameters else {}),
    }


def _operation(served: Served, action: str) -> dict[str, Any]:
    name = _name_of(served) + ("List" if action == "list" else "")
    content = {"application/json": {"schema": _ref(name)}}
    operation: dict[str, Any] = {
        "operationId": f"{_ACTIONS[action]}{served.kind}",
        "parameters": [
            {"name": each, "in": "query", "schema": {"type": _TYPES.get(each, "string")}}
            for each in _OPTIONS[action]
        ],
        "responses": {
            "201" if action == "post" else "200": {"description": "OK", "content": content},
            "401": {"description": "Unauthorized"},
        },
        "x-kubernetes-action": _ACTIONS[action],
        _GVK: _gvk(served),
    }
    if action in ("post", "put"):
        operation["requestBody"] = {"content": content, "required": True}
    if action == "patch":
        operation["requestBody"] = {"content": {each: {"schema": {}} for each in _PATCHES}, "required": True}
    return operation
