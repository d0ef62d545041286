"""Compose files as text, for `docker compose` and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.api.yaml_writing import document as written
from reconciler.core.compose.interpolation import escape
from reconciler.core.desired.stack import JSON
from reconciler.core.labels import NAMESPACE, SLOT
from reconciler.core.plan.operations import CreateProxy
from reconciler.core.redaction import MASK, longest_first, spellings, without


def dump(document: JSON) -> str:
    """The document as YAML, every `$` doubled so that Compose takes each value as it is."""
    services = {name: _readable(body) for name, body in document.get("services", {}).items()}
    return written(escape({**document, "services": services} if services else document))


def without_values(document: JSON, values: Sequence[str]) -> JSON:
    """The document with a mask for each of these secrets; for people, not for Compose."""
    secret = frozenset(values) - {""}
    spelt = longest_first(each for value in secret for each in spellings(value))

    def masked(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {without(str(name), spelt): masked(each) for name, each in node.items()}
        if isinstance(node, list | tuple):
            return [masked(each) for each in node]
        # A plugin may have made a number of it.
        if str(node) in secret:
            return MASK
        return without(node, spelt) if isinstance(node, str) else node

    hidden: JSON = masked(document)
    return hidden


def _readable(service: JSON) -> JSON:
    """The service with variables and labels as lists where Compose would take the name of one for an extension (2.26)."""
    lists = {
        field: [f"{name}={value}" for name, value in service[field].items()]
        for field in ("environment", "labels")
        if isinstance(service.get(field), dict) and any(name.startswith("x-") for name in service[field])
    }
    return {**service, **lists}


def proxy_overlay(request: CreateProxy) -> JSON:
    """The override that sets one proxy container apart: the fields of its proxy, its slot and the namespace it joins."""
    own: dict[str, Any] = dict(request.overlay)
    marks = {SLOT: str(request.slot)}
    if request.namespace:
        marks[NAMESPACE] = request.namespace.isoformat()
    if request.image:
        own["image"] = request.image
    if request.gateway:
        own["network_mode"] = f"container:{request.gateway}"
    own["labels"] = marks
    return {"services": {request.workload: own}}


def image_overlay(images: Mapping[str, str]) -> JSON:
    """The override that creates containers of workloads from these image IDs and not from what their tags mean now."""
    return {"services": {workload: {"image": image} for workload, image in images.items()}}
