"""Schemas of objects: those of our kinds come from their models, those of Kubernetes' own have what is read or written
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from reconciler.api.crd import custom_resource_definition
from reconciler.store.base import EventType
from reconciler.web.kube.served import Served

__all__ = [
    "GVK",
    "META",
    "ROLLBACK",
    "SCALE",
    "STATUS",
    "TEXT",
    "Schema",
    "gvk",
    "name_of",
    "ref",
    "schemas",
    "shared",
]

Schema = dict[str, Any]

META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
STATUS: Final = f"{META}.Status"
SCALE: Final = "io.k8s.api.autoscaling.v1.Scale"
ROLLBACK: Final = "internal.vault.v1alpha1.Rollback"
GVK: Final = "x-kubernetes-group-version-kind"
TEXT: Final = {"type": "string"}

_OBJECT_META: Final = f"{META}.ObjectMeta"
_LIST_META: Final = f"{META}.ListMeta"
_TIME: Final = {"type": "string", "format": "date-time"}
_NUMBER: Final = {"type": "integer", "format": "int64"}
_COUNT: Final = {"type": "integer", "format": "int32"}
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string", "default": ""}}
_FREE: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

_METADATA: Final[Mapping[str, tuple[str, Schema]]] = {
    "name": ("The name; unique within its kind.", TEXT),
    "generateName": ("A prefix; the server appends random letters to it when there is no name.", TEXT),
    "namespace": ("The only namespace is default.", TEXT),
    "labels": ("Labels for selecting and grouping.", _TEXTS),
    "annotations": ("Annotations; selectors do not see them.", _TEXTS),
    "uid": ("Another one for each object that had this name; set by the server.", TEXT),
    "resourceVersion": (
        "The number of the last change; a write that has an older one is refused; set by the server.",
        TEXT,
    ),
    "generation": ("Counts changes of the spec; set by the server.", _NUMBER),
    "creationTimestamp": ("When the object was created; set by the server.", _TIME),
    "deletionTimestamp": ("When its deletion was requested; set by the server.", _TIME),
    "deletionGracePeriodSeconds": ("Always 0; set by the server.", _NUMBER),
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


def _object(
    description: str, *names: str, required: tuple[str, ...] = (), more: Mapping[str, Schema] | None = None
) -> Schema:
    """An object with texts of these names, and more properties."""
    found: Schema = {"type": "object", "description": description}
    found["properties"] = {**dict.fromkeys(names, TEXT), **(more or {})}
    return {**found, "required": list(required)} if required else found


_ACCESS: Final = _object(
    "What a client asks about: a resource, or a path that is none.",
    more={
        "resourceAttributes": _object(
            "A resource.", "group", "name", "namespace", "resource", "subresource", "verb", "version"
        ),
        "nonResourceAttributes": _object("A path.", "path", "verb"),
    },
)
_OWN: Final[Mapping[str, tuple[tuple[str, ...], Mapping[str, Schema]]]] = {
    "Event": (
        ("involvedObject", "message", "reason", "type"),
        {
            "involvedObject": _object(
                "What it is about.", "apiVersion", "fieldPath", "kind", "name", "namespace", "uid"
            ),
            "type": {**TEXT, "enum": list(get_args(EventType))},
            "reason": {
                **TEXT,
                "description": "A word of letters and digits.",
                "pattern": "^[A-Za-z][A-Za-z0-9]*$",
                "maxLength": 128,
            },
            "message": {**TEXT, "description": "At most 1024 characters.", "minLength": 1},
            "count": _COUNT,
            "firstTimestamp": {**_TIME, "nullable": True},
            "lastTimestamp": {**_TIME, "nullable": True},
            "eventTime": {**_TIME, "nullable": True},
            "source": _object("What tells of it.", "component", "host"),
            "reportingComponent": TEXT,
            "reportingInstance": TEXT,
        },
    ),
    "PodMetrics": (
        (),
        {"timestamp": _TIME, "window": TEXT, "containers": {"type": "array", "items": {"type": "object"}}},
    ),
    "NodeMetrics": ((), {"timestamp": _TIME, "window": TEXT, "usage": _TEXTS}),
    "Revision": (
        (),
        {"rollout": {**_FREE, "description": "The target and the result of a rollout, without settings."}},
    ),
    "SelfSubjectReview": ((), {"status": _FREE}),
    "SelfSubjectAccessReview": (("spec",), {"spec": _ACCESS, "status": _FREE}),
    "SelfSubjectRulesReview": (("spec",), {"spec": _object("In which.", "namespace"), "status": _FREE}),
}
"""Of a kind of Kubernetes: required fields, and properties besides apiVersion, kind and metadata."""


def gvk(served: Served) -> dict[str, str]:
    """Group, version and kind."""
    return {"group": served.group, "version": served.version, "kind": served.kind}


def name_of(served: Served) -> str:
    """The name of its schema."""
    group = ".".join(reversed(served.group.split("."))) or "io.k8s.api.core"
    return f"{group}.{served.version}.{served.kind}"


def ref(name: str) -> dict[str, str]:
    """A reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def shared() -> dict[str, Schema]:
    """The schemas that documents of all kinds refer to."""
    metadata = {"default": {}, "allOf": [ref(_OBJECT_META)]}
    return {
        _OBJECT_META: _object(
            "Metadata of an object.",
            more={name: {"description": text, **schema} for name, (text, schema) in _METADATA.items()},
        ),
        _LIST_META: _list_meta(),
        STATUS: _status(),
        f"{META}.WatchEvent": _object(
            "One line of a watch.",
            required=("type", "object"),
            more={
                "type": {**TEXT, "enum": ["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]},
                "object": _FREE,
            },
        ),
        ROLLBACK: _object(
            "A request to go back to a former revision.",
            "apiVersion",
            "kind",
            more={
                "spec": _object(
                    "Which one; without it the last complete one before the present one.",
                    more={"revision": {**_COUNT, "minimum": 1}},
                )
            },
        ),
        SCALE: _object(
            "The number of replicas of an object.",
            "apiVersion",
            "kind",
            more={
                "metadata": metadata,
                "spec": _object("What is wanted.", more={"replicas": _COUNT}),
                "status": _object("What there is.", more={"replicas": _COUNT}),
            },
        ),
    }


def schemas(served: Served) -> dict[str, Schema]:
    """The schema of a resource, and that of its list."""
    name = name_of(served)
    schema = _schema(served)
    properties = {
        **schema["properties"],
        "apiVersion": {**TEXT, "description": f"Always {served.api_version}.", "enum": [served.api_version]},
        "kind": {**TEXT, "description": f"Always {served.kind}.", "enum": [served.kind]},
        # explain and validation show and check the metadata that servers know, not only that of a manifest.
        "metadata": {"description": "Identity of the object.", "default": {}, "allOf": [ref(_OBJECT_META)]},
    }
    # Who writes one of ours names what it is; lists of Kubernetes' own kinds leave it out.
    required = ["apiVersion", "kind", "metadata"] if served.of else []
    required = list(dict.fromkeys([*required, *schema.get("required", ())]))
    whole = {**schema, "properties": properties, GVK: [gvk(served)]}
    found = {name: {**whole, "required": required} if required else whole}
    if "list" in served.verbs:
        found[f"{name}List"] = {
            "type": "object",
            "description": f"A list of {served.plural}.",
            "required": ["items"],
            "properties": {
                "apiVersion": TEXT,
                "kind": TEXT,
                "metadata": {"default": {}, "allOf": [ref(_LIST_META)]},
                "items": {"type": "array", "items": {"default": {}, "allOf": [ref(name)]}},
            },
            GVK: [{**gvk(served), "kind": f"{served.kind}List"}],
        }
    return found


def _schema(served: Served) -> Schema:
    if served.of is None:
        required, properties = _OWN.get(served.kind, ((), {"spec": _FREE, "status": _FREE}))
        return _object(f"A {served.kind} of Kubernetes.", required=required, more=properties)
    (version,) = custom_resource_definition(served.of)["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def _list_meta() -> Schema:
    return _object(
        "Metadata of a list.",
        more={
            "resourceVersion": {**TEXT, "description": "The number from which a watch goes on."},
            "continue": {**TEXT, "description": "Asks for the next page."},
            "remainingItemCount": {**_NUMBER, "description": "Objects on later pages."},
        },
    )


def _status() -> Schema:
    cause = _object("One mistake.", "field", "message", "reason")
    details = _object(
        "What it is about.",
        "group",
        "kind",
        "name",
        "uid",
        more={"causes": {"type": "array", "items": cause}, "retryAfterSeconds": _COUNT},
    )
    return _object(
        "How a request ended that has no object as its answer. Clients decide by its reason.",
        "apiVersion",
        "message",
        "reason",
        required=("kind", "status", "code"),
        more={
            "kind": {**TEXT, "enum": ["Status"]},
            "metadata": {"default": {}, "allOf": [ref(_LIST_META)]},
            "status": {**TEXT, "enum": ["Success", "Failure"]},
            "code": _COUNT,
            "details": details,
        },
    )
