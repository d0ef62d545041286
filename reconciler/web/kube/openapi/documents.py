"""OpenAPI documents, from the models: `kubectl explain` prints them, and kubectl learns from them what a server can do.

Version 3 is served in parts, one for each group, as Kubernetes does.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any, Final

from reconciler.web.kube.openapi.operations import path_of, paths
from reconciler.web.kube.openapi.types import schemas, shared
from reconciler.web.kube.served import RESOURCES

__all__ = ["index", "part", "swagger"]


_PATHS: Final = tuple(dict.fromkeys(map(path_of, RESOURCES)))


def index() -> dict[str, Any]:
    """The answer to /openapi/v3: where the parts are."""
    return {
        "paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_digest(path)}"} for path in _PATHS}
    }


def part(path: str) -> dict[str, Any] | None:
    """The document of a group and version, such as apis/vault.internal/v1alpha1; None when it is not served."""
    # Clients make up paths without end: only those that there are may be kept.
    return _part(path) if path in _PATHS else None


@cache
def _part(path: str) -> dict[str, Any]:
    resources = [each for each in RESOURCES if path_of(each) == path]
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
    for path in _PATHS:
        found |= _part(path)["components"]["schemas"]
    text = json.dumps(found).replace("#/components/schemas/", "#/definitions/")
    return {
        "swagger": "2.0",
        "info": {"title": "vault-reconciler", "version": "v1alpha1"},
        "paths": {},
        "definitions": json.loads(text),
        "securityDefinitions": {"BearerToken": {"type": "apiKey", "name": "authorization", "in": "header"}},
    }


def _digest(path: str) -> str:
    return hashlib.sha256(json.dumps(_part(path), sort_keys=True).encode()).hexdigest()[:32].upper()
