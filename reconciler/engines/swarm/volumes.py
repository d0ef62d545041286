"""The mounts of an instance.

A task that Swarm starts again is a new container, which would get new anonymous volumes. So those of dependencies, also the
ones that an image declares, get names here; another instance in place of this one mounts them again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from reconciler.core.desired.stack import JSON
from reconciler.engines.swarm.marks import ANONYMOUS, PROJECT
from reconciler.engines.swarm.placement import is_local

__all__ = ["anonymous_of", "local_volumes", "mounts_of"]


def mounts_of(
    service: JSON,
    document: JSON,
    *,
    declared: Collection[str],
    kept: Mapping[str, str],
    named: Callable[[], str] | None,
    replaced: Collection[str],
) -> list[dict[str, Any]]:
    """The mounts of a service as Swarm has them.

    `declared`: paths that its image declares as volumes. `named` gives a name for an anonymous volume, None: it stays
    without one; `kept`: names that paths have already. `replaced`: sources that are mounted in another way.
    """
    found = [
        _mount(entry, document, kept, named)
        for entry in service.get("volumes") or ()
        if (entry.get("source") or "") not in replaced
    ]
    taken = {mount["Target"] for mount in found}
    if named:
        for target in sorted(set(declared) - taken):
            found.append(_anonymous(document["name"], {"target": target}, kept.get(target) or named()))
    return found


def _mount(
    entry: JSON, document: JSON, kept: Mapping[str, str], named: Callable[[], str] | None
) -> dict[str, Any]:
    target, kind, source = entry["target"], entry.get("type") or "volume", entry.get("source") or ""
    mount: dict[str, Any] = {"Type": kind, "Target": target, "ReadOnly": bool(entry.get("read_only"))}
    if kind == "bind":
        mount["Source"] = source
        if propagation := (entry.get("bind") or {}).get("propagation"):
            mount["BindOptions"] = {"Propagation": propagation}
    elif kind == "tmpfs":
        options = entry.get("tmpfs") or {}
        wanted = {"SizeBytes": int(options.get("size") or 0), "Mode": int(options.get("mode") or 0)}
        mount["TmpfsOptions"] = {key: value for key, value in wanted.items() if value}
    elif source:
        body = document["volumes"][source]
        mount |= {"Source": body["name"], "VolumeOptions": _options(document["name"], entry, body)}
    elif named:
        return _anonymous(document["name"], entry, kept.get(target) or named())
    return mount


def _options(project: str, entry: JSON, body: JSON) -> dict[str, Any]:
    options: dict[str, Any] = {"NoCopy": bool((entry.get("volume") or {}).get("nocopy"))}
    if body.get("external"):
        return options
    options["Labels"] = {**(body.get("labels") or {}), PROJECT: project}
    if body.get("driver") or body.get("driver_opts"):
        driver = {"Name": body.get("driver") or "local", "Options": body.get("driver_opts") or {}}
        options["DriverConfig"] = driver
    return options


def _anonymous(project: str, entry: JSON, name: str) -> dict[str, Any]:
    options = {
        "NoCopy": bool((entry.get("volume") or {}).get("nocopy")),
        "Labels": {PROJECT: project, ANONYMOUS: "true"},
    }
    return {
        "Type": "volume",
        "Source": name,
        "Target": entry["target"],
        "ReadOnly": bool(entry.get("read_only")),
        "VolumeOptions": options,
    }


def local_volumes(service: JSON, document: JSON) -> list[str]:
    """The names of the volumes with a name of a service that are on one node only."""
    sources = [
        entry.get("source")
        for entry in service.get("volumes") or ()
        if (entry.get("type") or "volume") == "volume"
    ]
    bodies = [document["volumes"][source] for source in sources if source]
    return [body["name"] for body in bodies if is_local(body)]


def anonymous_of(spec: JSON) -> Mapping[str, str]:
    """The volumes of a Swarm service that its definition gives no name, by where they are mounted."""
    mounts = spec["TaskTemplate"]["ContainerSpec"].get("Mounts") or ()
    return {
        mount["Target"]: mount["Source"]
        for mount in mounts
        if ANONYMOUS in ((mount.get("VolumeOptions") or {}).get("Labels") or {})
    }
