"""The Scale of an object: its number of replicas alone, which `kubectl scale` and autoscalers read and write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.api.kinds import KINDS
from reconciler.app.cluster.patches import merge_patch

__all__ = ["as_scale", "with_replicas"]

_METADATA: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")

Document = Mapping[str, Any]


def as_scale(document: Document) -> dict[str, Any]:
    """The Scale of a document."""
    wanted, current = _paths(document)
    metadata = document["metadata"]
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in _METADATA if key in metadata},
        "spec": {"replicas": _at(document, wanted)},
        "status": {"replicas": _at(document, current)},
    }


def with_replicas(document: Document, scale: Document) -> Document:
    """The document with the number of replicas of a Scale, for the version that the Scale is of."""
    wanted, _ = _paths(document)
    spec, metadata = scale.get("spec"), scale.get("metadata")
    change: Any = spec.get("replicas", 0) if isinstance(spec, Mapping) else 0
    for step in reversed(wanted):
        change = {step: change}
    number = metadata.get("resourceVersion") if isinstance(metadata, Mapping) else None
    if number:
        change["metadata"] = {"resourceVersion": number}
    changed: Document = merge_patch(document, change)
    return changed


def _paths(document: Document) -> tuple[list[str], list[str]]:
    scale = KINDS[document["kind"]].scale
    assert scale is not None
    wanted, current = (path.strip(".").split(".") for path in scale)
    return wanted, current


def _at(document: Any, path: list[str]) -> int:
    for step in path:
        document = document.get(step) if isinstance(document, Mapping) else None
    return document if isinstance(document, int) else 0
