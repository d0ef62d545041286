"""A service's networks: its aliases and fixed addresses in each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FIXED: Final = ("ipv4_address", "ipv6_address", "link_local_ips", "mac_address")
"""Fields of a place in a network that one container can have at a time."""


def read_networks(value: object) -> dict[str, dict[str, Any]]:
    """The networks of a service, with its settings in each; empty when it names none."""
    if isinstance(value, list | tuple):
        return {str(name): {} for name in value}
    if isinstance(value, Mapping):
        return {str(name): dict(body) if isinstance(body, Mapping) else {} for name, body in value.items()}
    return {}


def fixed_addresses(service: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of a service, by their paths, that give an address to one container and to no second one."""
    own = ("mac_address",) if service.get("mac_address") else ()
    places = read_networks(service.get("networks"))
    return (
        *own,
        *(f"networks.{name}.{field}" for name, body in places.items() for field in FIXED if body.get(field)),
    )


def with_alias(networks: Mapping[str, Mapping[str, Any]], alias: str) -> dict[str, dict[str, Any]]:
    """The same places, in each of which the service is found under one more name."""
    return {
        name: {**body, "aliases": list(dict.fromkeys([*(body.get("aliases") or ()), alias]))}
        for name, body in networks.items()
    }
