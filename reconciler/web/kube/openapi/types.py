"""Schemas of objects: those of our kinds come from their models, those of Kubernetes' own have what is read or written
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from reconciler.api.crd import custom_resource_definition
from reconciler.api.kinds import API_GROUP
from reconciler.store.base import EventType
from reconciler.store.passwords import MAX_LENGTH, MIN_LENGTH
from reconciler.store.tokens import NAME, ROLES
from reconciler.web.kube.logins import LONGEST_LIFE
from reconciler.web.kube.served import PASSWORD, RENEWAL, ROLLBACK, Served

__all__ = [
    "ASKED_FOR",
    "GVK",
    "META",
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
_OURS: Final = "internal.vault.v1alpha1"
ASKED_FOR: Final = {
    "scale": SCALE,
    **{part: f"{_OURS}.{part.capitalize()}" for part in (ROLLBACK, RENEWAL, PASSWORD)},
}
"""The schemas of what is sent to parts of resources that take another document than their resource."""
GVK: Final = "x-kubernetes-group-version-kind"
TEXT: Final = {"type": "string"}

_OBJECT_META: Final = f"{META}.ObjectMeta"
_LIST_META: Final = f"{META}.ListMeta"
_TIME: Final = {"type": "string", "format": "date-time"}
_NUMBER: Final = {"type": "integer", "format": "int64"}
_COUNT: Final = {"type": "integer", "format": "int32"}
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string", "default": ""}}
_OR_NULL: Final = {**TEXT, "nullable": True}
_ROLE: Final = {**TEXT, "enum": list(ROLES)}
_USER: Final = {**TEXT, "pattern": f"^{NAME}$"}
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
    "Certificate": (
        (),
        {
            "spec": _object("Of what.", "gateway", "host", "route", "wanted"),
            "status": _object(
                "What there is.",
                "message",
                "state",
                more=dict.fromkeys(("issuer", "notAfter", "renewAt", "source"), _OR_NULL),
            ),
        },
    ),
    "Image": (
        (),
        {
            "spec": _object("What runs.", "image", "service", "workload", more={"replicas": _COUNT}),
            "status": _object(
                "What its registry has.",
                "message",
                "state",
                more={
                    "running": {**_COUNT, "nullable": True},
                    **dict.fromkeys(("choice", "digest", "newest"), _OR_NULL),
                },
            ),
        },
    ),
    "Exporter": ((), {"spec": _object("Where it is.", "address", "object", more={"slot": _COUNT})}),
    "Finding": (
        (),
        {
            "spec": _object("What was looked at.", "check"),
            "status": _object("What is to be said.", "fix", "level", "message"),
        },
    ),
    "Token": (
        ("spec",),
        {
            "spec": _object(
                "Who is let in, and as what.",
                required=("user",),
                more={
                    "user": _USER,
                    "role": _ROLE,
                    "expirationSeconds": {
                        **_NUMBER,
                        "description": "How long from now; until it is revoked without.",
                        "minimum": 1,
                        "maximum": LONGEST_LIFE,
                    },
                },
            ),
            "status": _object(
                "What the server sets.",
                "way",
                more={
                    "token": {**TEXT, "description": "Its text: only in the answer to its creation."},
                    "expirationTimestamp": _OR_NULL,
                },
            ),
        },
    ),
    "User": (
        (),
        {
            "spec": _object("What is allowed.", more={"role": _ROLE}),
            "status": _object("What the server sets.", more={"passwordSetTimestamp": _TIME}),
        },
    ),
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
        ASKED_FOR[RENEWAL]: _object(
            "A request for a new certificate.",
            "apiVersion",
            "kind",
            more={"spec": {"type": "object", "additionalProperties": False}},
        ),
        ASKED_FOR[PASSWORD]: _object(
            "A password for a user of the page, who is added if there is none.",
            "apiVersion",
            "kind",
            required=("spec",),
            more={
                "spec": _object(
                    "It is in no answer.",
                    required=("password",),
                    more={
                        "password": {
                            **TEXT,
                            "format": "password",
                            "minLength": MIN_LENGTH,
                            "maxLength": MAX_LENGTH,
                        },
                        "role": {**_ROLE, "description": "As before without it; admin for a new user."},
                    },
                )
            },
        ),
        ASKED_FOR[ROLLBACK]: _object(
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
        of = "the controller" if served.group == API_GROUP else "Kubernetes"
        return _object(f"A {served.kind} of {of}.", required=required, more=properties)
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
