"""Networks of a stack in a Swarm: those of its instances are overlays, which the front door on one node can join."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.core.compose.networks import read_networks
from reconciler.core.desired.stack import JSON
from reconciler.engines.errors import RefusedError
from reconciler.engines.swarm.fit import ADDRESSES, DRIVERS, refuse
from reconciler.engines.swarm.marks import PROJECT

__all__ = ["attachments", "check_existing", "network_spec"]

OVERLAY: Final = "overlay"


def network_spec(project: str, name: str, body: JSON) -> dict[str, Any]:
    """What creates a network; `body` is that of the Compose file. Raises RefusedError."""
    refuse(DRIVERS, "", {"networks": [name]}, {"networks": {name: body}})
    ipam = body.get("ipam") or {}
    return {
        "Name": body["name"],
        "Driver": OVERLAY,
        "Scope": "swarm",
        "Attachable": True,
        "Internal": bool(body.get("internal")),
        "Labels": {**(body.get("labels") or {}), PROJECT: project},
        "Options": body.get("driver_opts") or {},
        "IPAM": {
            "Driver": ipam.get("driver") or "default",
            "Config": [
                {
                    key: value
                    for key, value in (("Subnet", each.get("subnet")), ("Gateway", each.get("gateway")))
                    if value
                }
                for each in ipam.get("config") or ()
            ],
        },
    }


def check_existing(found: Mapping[str, Any]) -> None:
    """Raises RefusedError for a network that tasks of other nodes cannot reach."""
    if found.get("Scope") != "swarm" or not found.get("Attachable"):
        raise RefusedError(
            f"network {found.get('Name')!r} is there already and is no attachable overlay: remove it, and what runs in it, "
            "or run this service without a Swarm"
        )


def attachments(workload: str, service: JSON, networks: Mapping[str, JSON]) -> list[dict[str, Any]]:
    """The networks of a task, with the names by which others find it. Raises RefusedError."""
    refuse(ADDRESSES, workload, service)
    found = []
    for name, place in read_networks(service.get("networks")).items():
        aliases = dict.fromkeys([workload, *(place.get("aliases") or ())])
        found.append({"Target": networks[name]["name"], "Aliases": list(aliases)})
    return found
