"""What an API server adds to a document: metadata that it sets, and the lists that it answers with.

`kubectl get -o yaml` prints both. Here they are read and left out, so that what was printed can be applied again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.api.errors import Problem
from reconciler.api.kinds import API_VERSION, KINDS, NAMESPACE
from reconciler.api.yaml_nodes import ListNode, MapNode, Node, ScalarNode, to_plain

__all__ = [
    "SERVER_SET",
    "is_list",
    "is_unfinished_list",
    "items_of",
    "namespace_problems",
    "written_by_user",
]

SERVER_SET: Final = (
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "selfLink",
    "generateName",
)
"""Fields of `metadata` that are not a user's."""

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which kubectl keeps what it applied."""

LIST: Final = "List"
LIST_VERSION: Final = "v1"
_LISTS_OF_OURS: Final = frozenset(f"{name}List" for name in KINDS)


def written_by_user(root: MapNode) -> dict[str, Any]:
    """The document as plain values, without its status and what servers set."""
    document = {key: value for key, value in to_plain(root).items() if key != "status"}
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        metadata = {key: value for key, value in metadata.items() if key not in SERVER_SET}
        annotations = metadata.get("annotations")
        if isinstance(annotations, dict):
            metadata["annotations"] = {
                key: value for key, value in annotations.items() if key != LAST_APPLIED
            }
        document["metadata"] = metadata
    return document


def namespace_problems(root: MapNode, path: Path) -> Iterator[Problem]:
    """A problem if the document is of another namespace."""
    metadata = root.values.get("metadata")
    node = metadata.values.get("namespace") if isinstance(metadata, MapNode) else None
    if node is None or (isinstance(node, ScalarNode) and node.value in (None, "", NAMESPACE)):
        return
    message = f"must be {NAMESPACE}: there are no other namespaces, and a name is used once on a machine"
    yield Problem(path, node.line, node.column, "metadata.namespace", message, "leave the field out")


def is_list(document: Mapping[str, Any]) -> bool:
    """Whether a document, as plain values, is a list of objects, such as `kind: List` or VaultServiceList."""
    version, kind = document.get("apiVersion"), document.get("kind")
    return (version, kind) == (LIST_VERSION, LIST) or (version == API_VERSION and kind in _LISTS_OF_OURS)


def items_of(root: Node) -> tuple[Node, ...]:
    """The items of a list of objects; any other document is itself the only one."""
    items = root.values.get("items") if isinstance(root, MapNode) and is_list(_identity(root)) else None
    return items.items if isinstance(items, ListNode) else (root,)


def is_unfinished_list(root: Node) -> bool:
    """Whether a document may be the beginning of a list, as an editor or a copy leaves it for a moment."""
    if not isinstance(root, MapNode):
        return False
    identity = _identity(root)
    return identity.get("apiVersion") == LIST_VERSION and LIST.startswith(str(identity.get("kind")))


def _identity(root: MapNode) -> dict[str, Any]:
    nodes = {key: root.values.get(key) for key in ("apiVersion", "kind")}
    return {key: node.value for key, node in nodes.items() if isinstance(node, ScalarNode)}
