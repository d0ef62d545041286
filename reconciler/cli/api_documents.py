"""Documents of the Kubernetes API that never change: the namespace, and the definitions of our kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from reconciler.api.crd import custom_resource_definition
from reconciler.api.kinds import KINDS, NAMESPACE
from reconciler.api.moments import format_moment
from reconciler.web.kube.collection import Collection, Fixed
from reconciler.web.kube.served import CRDS, NAMESPACES

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.store.versions import Versions

__all__ = ["fixed_collections"]


def fixed_collections(versions: Versions, since: datetime) -> Mapping[str, Collection]:
    """By their kind; `since` is when the state directory was made: they exist since then."""
    born = {"creationTimestamp": format_moment(since)}
    definitions = [_definition(custom_resource_definition(each), born) for each in KINDS.values()]
    return {
        NAMESPACES.kind: Fixed(NAMESPACES, [_namespace(born)], versions),
        CRDS.kind: Fixed(CRDS, definitions, versions),
    }


def _namespace(born: Mapping[str, Any]) -> dict[str, Any]:
    labels = {"kubernetes.io/metadata.name": NAMESPACE}
    return {
        "metadata": {"name": NAMESPACE, "uid": _uid(f"namespace/{NAMESPACE}"), "labels": labels, **born},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def _definition(definition: Mapping[str, Any], born: Mapping[str, Any]) -> dict[str, Any]:
    """A CRD as a server shows it once it is established."""
    name = definition["metadata"]["name"]
    conditions = [
        {
            "type": type_,
            "status": "True",
            "reason": reason,
            "message": "",
            "lastTransitionTime": born["creationTimestamp"],
        }
        for type_, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
    ]
    spec = {**definition["spec"], "conversion": {"strategy": "None"}}
    status = {
        "conditions": conditions,
        "acceptedNames": definition["spec"]["names"],
        "storedVersions": [each["name"] for each in definition["spec"]["versions"]],
    }
    return {
        "metadata": {**definition["metadata"], "uid": _uid(f"crd/{name}"), **born},
        "spec": spec,
        "status": status,
    }


def _uid(text: str) -> str:
    return str(uuid5(NAMESPACE_URL, text))
