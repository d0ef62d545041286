"""Discovery: which groups, versions and resources there are, plain and aggregated.

kubectl asks for the aggregated form first, and for the plain one where a server does not know it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Final

from reconciler.web.kube.served import RESOURCES, Served

__all__ = [
    "AGGREGATED",
    "KUBERNETES",
    "aggregated",
    "group_list",
    "group_of",
    "resource_list",
    "version",
    "versions_of_core",
]

AGGREGATED: Final = "APIGroupDiscoveryList"
KUBERNETES: Final = ("1", "32")
"""The version of Kubernetes whose clients are tried against this API: kubectl warns of one that is far from its own."""


def version(own: str) -> dict[str, str]:
    """The answer to /version; the version of this project is in `gitVersion`, as other distributions have it."""
    major, minor = KUBERNETES
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{major}.{minor}.0+vault-reconciler.{own}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": sys.implementation.name,
        "platform": f"linux/{'amd64' if sys.maxsize > 2**32 else '386'}",
    }


def versions_of_core() -> dict[str, Any]:
    """The answer to /api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def group_list() -> dict[str, Any]:
    """The answer to /apis."""
    groups = [_group(name) for name in _groups() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group_of(name: str) -> dict[str, Any] | None:
    """The answer to /apis/GROUP; None when it is not served."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)} if name and name in _groups() else None


def resource_list(group: str, of_version: str) -> dict[str, Any] | None:
    """The answer to /apis/GROUP/VERSION; None when it is not served."""
    found = [each for each in RESOURCES if (each.group, each.version) == (group, of_version)]
    if not found:
        return None
    rows: list[dict[str, Any]] = []
    for each in found:
        rows.append(_row(each))
        for name, verbs in each.subresources:
            rows.append(
                {**_scope(each), "name": f"{each.plural}/{name}", "singularName": "", "verbs": sorted(verbs)}
            )
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found[0].api_version,
        "resources": rows,
    }


def aggregated(*, core: bool) -> dict[str, Any]:
    """The aggregated form of /api or /apis."""
    items = []
    for name in _groups():
        if bool(name) == core:
            continue
        resources = [each for each in RESOURCES if each.group == name]
        versions = [
            {
                "version": each,
                "resources": [_entry(one) for one in resources if one.version == each],
                "freshness": "Current",
            }
            for each in dict.fromkeys(one.version for one in resources)
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": versions})
    return {
        "kind": AGGREGATED,
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _groups() -> Iterable[str]:
    return dict.fromkeys(each.group for each in RESOURCES)


def _group(name: str) -> dict[str, Any]:
    found = dict.fromkeys(each.version for each in RESOURCES if each.group == name)
    versions = [{"groupVersion": f"{name}/{each}", "version": each} for each in found]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _scope(each: Served) -> dict[str, Any]:
    return {"namespaced": each.namespaced, "kind": each.kind}


def _row(each: Served) -> dict[str, Any]:
    row = {"name": each.plural, "singularName": each.singular, **_scope(each), "verbs": sorted(each.verbs)}
    row |= {"shortNames": list(each.short_names)} if each.short_names else {}
    return row | ({"categories": list(each.categories)} if each.categories else {})


def _entry(each: Served) -> dict[str, Any]:
    kind = {"group": each.group, "version": each.version, "kind": each.kind}
    entry: dict[str, Any] = {
        "resource": each.plural,
        "responseKind": kind,
        "scope": "Namespaced" if each.namespaced else "Cluster",
        "singularResource": each.singular,
        "verbs": sorted(each.verbs),
    }
    entry |= {"shortNames": list(each.short_names)} if each.short_names else {}
    entry |= {"categories": list(each.categories)} if each.categories else {}
    if each.subresources:
        entry["subresources"] = [
            {"subresource": name, "responseKind": kind, "verbs": sorted(verbs)}
            for name, verbs in each.subresources
        ]
    return entry
