"""What is computed of objects as documents of the API, while a client asks: revisions, routes, certificates, images,
findings. They are views, like Pods.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.kinds import API_GROUP, NAMESPACE, Ref
from reconciler.api.moments import format_moment
from reconciler.app.certificates import certificate_document
from reconciler.app.routes import route_document

if TYPE_CHECKING:
    from reconciler.app.certificates import Certificate
    from reconciler.app.checkup.finding import Finding
    from reconciler.app.routes import RouteLine
    from reconciler.controller.report.board import Exporter

__all__ = [
    "certificates",
    "exporters",
    "findings",
    "images",
    "name_of_certificate",
    "revisions",
    "routes",
]

DIGITS: Final = 10
_ROUTE: Final = ("host", "path", "port", "service", "gateway", "route")
_CERTIFICATE: Final = ("host", "gateway", "route", "wanted")
_IMAGE: Final = ("service", "workload", "image", "replicas")
"""What is in the spec of each; the rest is in its status."""
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")

Documents = Mapping[str, Mapping[str, Any]]


def revisions(histories: Iterable[tuple[Ref, Iterable[Mapping[str, Any]]]]) -> Documents:
    """The rollouts of objects by their names, such as `files.3`: without the values of settings."""
    found = {}
    for ref, rollouts in histories:
        for rollout in rollouts:
            name = f"{_dotted(ref.label)}.{rollout['number']}"
            created = format_moment(datetime.fromisoformat(rollout["createdAt"]))
            metadata = _metadata(name, _labels(kind=ref.kind.singular, object=ref.name))
            found[name] = {"metadata": {**metadata, "creationTimestamp": created}, "rollout": rollout}
    return found


def routes(lines: Iterable[RouteLine], since: datetime) -> Documents:
    """The routes that services claim; `since` is when the state directory was made."""
    found = {}
    for line in lines:
        document = route_document(line)
        name = f"{line.service}.{_digest(document[each] for each in _ROUTE)}"
        labels = _labels(object=line.service, gateway=line.gateway)
        metadata = {"creationTimestamp": format_moment(since), **_metadata(name, labels)}
        found[name] = {"metadata": metadata, **_parts(document, _ROUTE)}
    return found


def name_of_certificate(each: Certificate) -> str:
    """The name of its document: a host may be a wildcard, which no name can be."""
    return f"{each.gateway}.{_digest([each.row.host])}"


def certificates(found: Iterable[Certificate]) -> Documents:
    """The certificates of gateways, without their keys."""
    named = ((name_of_certificate(each), each) for each in found)
    return {
        name: {
            "metadata": _metadata(name, _labels(gateway=each.gateway)),
            **_parts(certificate_document(each), _CERTIFICATE),
        }
        for name, each in named
    }


def images(documents: Iterable[Mapping[str, Any]]) -> Documents:
    """The images of workloads, from the documents of `vaultctl images`."""
    found = {}
    for document in documents:
        name = ".".join(filter(None, (document["service"], document["workload"])))
        metadata = _metadata(name, _labels(object=document["service"], workload=document["workload"]))
        found[name] = {"metadata": metadata, **_parts(document, _IMAGE)}
    return found


def exporters(found: Iterable[Exporter]) -> Documents:
    """Where HAProxies serve their own metrics."""
    documents = {}
    for each in found:
        name = f"{_dotted(each.service)}.{each.slot}"
        spec = {"object": each.service, "slot": each.slot, "address": each.address}
        if each.node:
            spec["node"] = each.node
        documents[name] = {"metadata": _metadata(name, {}), "spec": spec}
    return documents


def findings(found: Iterable[Finding]) -> Documents:
    """What was found about the machine; the names keep the order."""
    documents = {}
    for number, each in enumerate(found, 1):
        name = f"{number:04}-{_NO_NAME.sub('-', each.check.lower()).strip('-')}"
        documents[name] = {"metadata": {"name": name}, **_parts(each.document(), ("check",))}
    return documents


def _metadata(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"name": name, "namespace": NAMESPACE, "labels": labels}


def _parts(document: Mapping[str, Any], spec: Sequence[str]) -> dict[str, Any]:
    return {
        "spec": {each: document[each] for each in spec},
        "status": {key: value for key, value in document.items() if key not in spec},
    }


def _digest(values: Iterable[object]) -> str:
    return hashlib.sha256("\0".join(map(str, values)).encode()).hexdigest()[:DIGITS]


def _dotted(label: str) -> str:
    return label.replace("/", ".")


def _labels(**labels: str) -> dict[str, str]:
    return {f"{API_GROUP}/{name}": value for name, value in labels.items() if value}
