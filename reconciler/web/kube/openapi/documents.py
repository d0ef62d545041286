"""OpenAPI documents, from the models: `kubectl explain` prints them, and kubectl learns from them what a server can do.

Version 3 is served in parts, one for each group, as Kubernetes does.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from reconciler.web.kube.openapi.operations import path_of, paths
from reconciler.web.kube.openapi.types import schemas, shared
from reconciler.web.kube.served import RESOURCES

__all__ = ["index", "part", "swagger"]


def index() -> dict[str, Any]:
    """The answer to /openapi/v3: where the parts are."""
    found = dict.fromkeys(map(path_of, RESOURCES))
    return {
        "paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_digest(path)}"} for path in found}
    }


@cache
def part(path: str) -> dict[str, Any] | None:
    """The document of a group and version, such as apis/vault.internal/v1alpha1; None when it is not served."""
    resources = [each for each in RESOURCES if path_of(each) == path]
    if not resources:
        return None
    found_paths: dict[str, Any] = {}
    found_schemas = dict(shared())
    for each in resources:
        found_paths |= paths(each)
        found_schemas |= schemas(each)
    return {
        "openapi": "3.0.0",
        "info": {"title": "vault-reconciler", "version": "v1alpha1"},
        "paths": found_paths,
        "components": {
            "schemas": found_schemas,
            "securitySchemes": {"BearerToken": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"BearerToken": []}],
    }


@cache
def swagger() -> dict[str, Any]:
    """The answer to /openapi/v2: the schemas of all groups, for clients that know no version 3."""
    found: dict[str, Any] = {}
    for path in dict.fromkeys(map(path_of, RESOURCES)):
        found |= (part(path) or {})["components"]["schemas"]
    text = json.dumps(found).replace("#/components/schemas/", "#/definitions/")
    return {
        "swagger": "2.0",
        "info": {"title": "vault-reconciler", "version": "v1alpha1"},
        "paths": {},
        "definitions": json.loads(text),
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}},
    }


def _digest(path: str) -> str:
    return hashlib.sha256(json.dumps(part(path), sort_keys=True).encode()).hexdigest()[:32].upper()
