"""The paths of a resource: what each verb takes, and every answer that it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reconciler.api.managed import MAX_NAME
from reconciler.web.kube.openapi.types import (
    ASKED_FOR,
    GVK,
    SCALE,
    STATUS,
    TEXT,
    Schema,
    gvk,
    name_of,
    ref,
)
from reconciler.web.kube.served import REVIEWS, Served
from reconciler.web.kube.writes import DOCUMENTS, POLICIES

__all__ = ["path_of", "paths"]

_YES: Final = {"type": "boolean"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_NUMBER: Final = {"type": "string", "pattern": "^[0-9]*$"}
_WRITTEN: Final[Mapping[str, Schema]] = {
    "dryRun": {**TEXT, "enum": ["All"]},
    "fieldManager": {**TEXT, "maxLength": MAX_NAME, "pattern": "^[ -~]*$"},
    "fieldValidation": {**TEXT, "enum": ["Ignore", "Strict", "Warn"]},
}
_OPTIONS: Final[Mapping[str, Mapping[str, Schema]]] = {
    "get": {},
    "list": {
        "labelSelector": TEXT,
        "fieldSelector": TEXT,
        "limit": _COUNT,
        "continue": TEXT,
        "resourceVersion": _NUMBER,
        "resourceVersionMatch": {**TEXT, "enum": ["Exact", "NotOlderThan"]},
        "watch": _YES,
        "allowWatchBookmarks": _YES,
        "sendInitialEvents": _YES,
        "timeoutSeconds": _COUNT,
    },
    "post": _WRITTEN,
    "put": _WRITTEN,
    "patch": {**_WRITTEN, "force": _YES},
    "delete": {
        "dryRun": _WRITTEN["dryRun"],
        "gracePeriodSeconds": _COUNT,
        "propagationPolicy": {**TEXT, "enum": [*POLICIES]},
    },
    "log": {
        "container": TEXT,
        "follow": _YES,
        "limitBytes": {"type": "integer", "minimum": 1},
        "previous": _YES,
        "sinceSeconds": _COUNT,
        "sinceTime": {**TEXT, "format": "date-time"},
        "tailLines": _COUNT,
        "timestamps": _YES,
    },
    "exec": {
        "command": {"type": "array", "items": TEXT},
        "container": TEXT,
        "stdin": _YES,
        "stdout": _YES,
        "stderr": _YES,
        "tty": _YES,
    },
    "portforward": {"ports": {"type": "array", "items": {"type": "integer"}}},
}
_ACTIONS: Final = {
    "get": "get",
    "list": "list",
    "post": "create",
    "put": "update",
    "patch": "patch",
    "delete": "delete",
}
_STEP: Final = {
    "type": "object",
    "required": ["op", "path"],
    "properties": {
        "op": {**TEXT, "enum": ["add", "copy", "move", "remove", "replace", "test"]},
        "path": {**TEXT, "pattern": "^(/.*)?$"},
        "from": {**TEXT, "pattern": "^(/.*)?$"},
        "value": {},
    },
}
_PATCHES: Final[Mapping[str, Schema]] = {
    "application/json-patch+json": {"type": "array", "items": _STEP},
    "application/merge-patch+json": {"type": "object"},
    "application/apply-patch+yaml": {"type": "object"},
}
_FAILURES: Final = {
    400: "The request cannot be understood",
    401: "No valid credential",
    403: "The role does not include it, or it is not done through the API",
    404: "Not found",
    405: "The resource does not know the verb",
    429: "Too many requests of one client at once",
    503: "Not now: the same request may succeed later",
    504: "No answer in time",
}
_OF_WRITES: Final = {
    409: "There is a newer version, another manager of a field, or an object of that name",
    413: "The body is too large",
    415: "The body is in another format",
    422: "The document breaks rules of its kind",
}
_FAILURES_OF: Final[Mapping[str, Mapping[int, str]]] = {
    "get": {406: "None of the forms is served"},
    "list": {
        406: "None of the forms is served",
        410: "What was to be continued is too old",
        422: "Options that exclude each other",
    },
    **dict.fromkeys(("post", "put", "patch", "delete"), _OF_WRITES),
}
"""Besides those of all actions."""


def path_of(served: Served) -> str:
    """Its group and version as a path."""
    return f"apis/{served.api_version}" if served.group else f"api/{served.version}"


def paths(served: Served) -> dict[str, Any]:
    """Every path of a resource."""
    root = f"/{path_of(served)}"
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
    for part, verbs in served.subresources:
        of_part = {method: method for method, verb in _ACTIONS.items() if verb in verbs and method != "list"}
        found[f"{base}/{{name}}/{part}"] = _operations(
            served, of_part, namespaced=served.namespaced, named=True, part=part
        )
    return found


def _knows(served: Served, action: str) -> bool:
    return _ACTIONS[action] in served.verbs


def _operations(
    served: Served, methods: Mapping[str, str], *, namespaced: bool, named: bool, part: str = ""
) -> dict[str, Any]:
    places = [*(["namespace"] if namespaced else []), *(["name"] if named else [])]
    parameters = [{"name": each, "in": "path", "required": True, "schema": TEXT} for each in places]
    return {
        **{method: _operation(served, action, part, places) for method, action in methods.items()},
        **({"parameters": parameters} if parameters else {}),
    }


def _operation(served: Served, action: str, part: str, places: list[str]) -> dict[str, Any]:
    is_stream = part in ("exec", "portforward")
    verb = "connect" if is_stream else _ACTIONS[action]
    scope = "" if places or not served.namespaced else "ForAllNamespaces"
    operation: dict[str, Any] = {
        "operationId": f"{_ACTIONS[action]}{served.kind}{part.capitalize()}{scope}",
        "parameters": [
            {"name": name, "in": "query", "schema": schema}
            for name, schema in _OPTIONS.get(part, _OPTIONS[action]).items()
        ],
        "responses": dict(_responses(served, action, part)),
        "x-kubernetes-action": verb,
        GVK: gvk(served),
    }
    if action in ("post", "put") and not is_stream:
        sent = ASKED_FOR.get(part) or name_of(served)
        media = DOCUMENTS if served not in REVIEWS else DOCUMENTS[:1]
        operation["requestBody"] = {
            "content": {each: {"schema": ref(sent)} for each in media},
            "required": True,
        }
    if action == "patch":
        operation["requestBody"] = {
            "content": {media: {"schema": schema} for media, schema in _PATCHES.items()},
            "required": True,
        }
    return operation


def _responses(served: Served, action: str, part: str) -> Iterator[tuple[str, Any]]:
    match action, part:
        case _, "exec" | "portforward":
            yield "101", {"description": "The WebSocket is open"}
        case _, "log":
            yield "200", {"description": "The lines", "content": {"text/plain": {"schema": TEXT}}}
        case _, "scale":
            yield "200", _answer(ref(SCALE))
        case "delete", _:
            yield "200", _answer({"anyOf": [ref(STATUS), ref(name_of(served))]})
        case "list", _:
            # With `watch` the answer has one WatchEvent on each line.
            yield "200", _answer(ref(f"{name_of(served)}List"))
        case _:
            if action != "post":
                yield "200", _answer(ref(name_of(served)))
            if action in ("post", "patch"):
                yield "201", _answer(ref(name_of(served)))
    for code, why in sorted({**_FAILURES, **_FAILURES_OF.get(action, {})}.items()):
        yield str(code), _answer(ref(STATUS), why)


def _answer(schema: Schema, description: str = "OK") -> dict[str, Any]:
    return {"description": description, "content": _json(schema)}


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
