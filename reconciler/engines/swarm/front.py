"""The part of a stack that stays on the controller's node: gateway and proxies, as containers of Compose.

They share a network namespace and directories with the controller, which tasks of Swarm cannot. They reach the instances on
the overlay networks of the stack, which Compose finds there already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.core.compose.networks import read_networks
from reconciler.core.desired.stack import JSON, Role, Stack
from reconciler.engines.compose.rows import external_networks

__all__ = ["FRONT_ROLES", "front_of", "networks_of", "shared_networks"]

FRONT_ROLES = frozenset({Role.GATEWAY, Role.PROXY})


def front_of(stack: Stack) -> Stack:
    """The same stack, with the document of what Compose runs of it. The workloads stay, because observing a stack includes
    their images.
    """
    shared = shared_networks(stack)
    networks = {
        name: {"name": engine_name(stack, name, body or {}), "external": True} if name in shared else body
        for name, body in stack.document.get("networks", {}).items()
    }
    front = {workload.name for workload in stack.of(*FRONT_ROLES)}
    services = {name: body for name, body in stack.document["services"].items() if name in front}
    used = {name for body in services.values() for name in read_networks(body.get("networks"))}
    # One that the gateway is connected to later is not named by a service, and exists.
    kept = used | shared | external_networks(stack)
    document = {
        "name": stack.document.get("name", stack.project),
        "services": services,
        "networks": {name: body for name, body in networks.items() if name in kept},
    }
    return replace(stack, document=document, former=())


def shared_networks(stack: Stack) -> frozenset[str]:
    """The networks with instances in them, by their names in the stack; but those of others."""
    instances = (w for w in stack.workloads if w.role not in FRONT_ROLES)
    used = {name for each in instances for name in networks_of(stack.document, each.name)}
    return frozenset(used - external_networks(stack))


def engine_name(stack: Stack, name: str, body: JSON) -> str:
    """What the engine calls a network of the stack."""
    return str(body.get("name") or f"{stack.project}_{name}")


def networks_of(document: JSON, service: str) -> Mapping[str, object]:
    """The networks of a service, by their names in the document."""
    return read_networks(document["services"][service].get("networks"))
