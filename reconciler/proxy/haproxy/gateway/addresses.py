"""Addresses of replicas: a route may lead to another port of the same containers than that of the service, which is the one
that the plan knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.core.assess.observation import Container
from reconciler.core.desired.stack import Stack

__all__ = ["Ports", "in_plan", "in_pool", "ports_of"]

Ports = Mapping[str, int]
"""The port of the service in each replica, by the name of its server."""


def ports_of(stack: Stack, containers: Sequence[Container]) -> Ports:
    """The ports of these containers, of those that are replicas."""
    usual = {workload.name: workload.port for workload in stack.web}
    found = ((each.short, each.port or usual.get(each.workload)) for each in containers)
    return {name: port for name, port in found if port}


def in_pool(address: str, port: int) -> str:
    """The address of a server in a pool that leads to this port; 0 is the port of the service."""
    return f"{address.rpartition(':')[0]}:{port}" if port else address


def in_plan(name: str, address: str, port: int, ports: Ports) -> str:
    """The address that the plan knows for a server of such a pool."""
    return in_pool(address, ports.get(name, 0) if port else 0)
