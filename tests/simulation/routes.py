"""What simulated users want of gateways, and of the routes of their services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from reconciler.api.vaultgateway import VaultGateway

GATEWAYS: Final = ("edge", "inner")
SERVICES: Final = ("files", "notes", "wiki")
PORTS: Final[Mapping[str, int]] = {"edge": 80, "inner": 8000}
SSH: Final = 2222
SHARED: Final = "shared.test"
"""A host that more than one service may claim."""

SHARING: Final = ("tcp", "shared")
"""Sorts of routes of which only one service gets all."""

SORTS: Final = ("plain", "paths", "sticky", "compressed", "wildcard", "tcp", "shared")


@dataclass(frozen=True)
class GatewayWish:
    """The spec of a gateway, in the words of a simulation."""

    name: str
    network: str = "published"
    image: str = "haproxy:3.0"
    replicas: int = 1
    headers: int = 16
    drain: float = 30.0

    def gateway(self) -> VaultGateway:
        """The VaultGateway that says so."""
        port = PORTS[self.name]
        listeners = [
            {"name": "http", "port": port, "protocol": "HTTP"},
            {"name": "ssh", "port": SSH + port, "protocol": "TCP"},
        ]
        spec = {
            "listeners": listeners,
            "network": self.network,
            "image": self.image,
            "replicas": self.replicas,
            "maxHeaderKiB": self.headers,
            "drainSeconds": self.drain,
        }
        document = {"metadata": {"name": self.name}, "spec": spec}
        return VaultGateway.model_validate(document, by_alias=True, by_name=False)


def first_gateway(name: str, random: Random) -> GatewayWish:
    """What a user wants of a gateway at first."""
    return GatewayWish(
        name,
        network=random.choice(["published", "published", "host"]),
        replicas=random.choice([1, 1, 2]),
        drain=random.choice([5.0, 30.0]),
    )


def other_gateway(wish: GatewayWish, random: Random) -> GatewayWish:
    """One thing of it changed."""
    changes: list[dict[str, Any]] = [
        {"image": random.choice(["haproxy:3.0", "haproxy:3.1"])},
        {"replicas": random.choice([1, 2])},
        {"headers": random.choice([16, 32])},
    ]
    return replace(wish, **random.choice(changes))


@dataclass(frozen=True)
class Routes:
    """The routes of a service, in the words of a simulation."""

    gateway: str = GATEWAYS[0]
    sort: str = "plain"

    def fields(self, service: str) -> dict[str, Any]:
        """The fields of the spec that say so."""
        own = {"hostnames": [f"{service}.test"], "gateway": self.gateway}
        more = {**own, "path": "/api"}
        raw = {"port": SSH + PORTS[self.gateway], "target": 8000, "gateway": self.gateway}
        match self.sort:
            case "paths":
                return {"routes": [own, more]}
            case "sticky":
                return {"routes": [own, {**more, "sticky": "cookie"}]}
            case "compressed":
                return {"routes": [{**own, "compression": True}]}
            case "wildcard":
                return {
                    "routes": [
                        own,
                        {**own, "hostnames": [f"*.{service}.test"], "path": "/x", "stripPath": True},
                    ]
                }
            case "tcp":
                return {"route": own, "tcp": [raw]}
            case "shared":
                return {"routes": [own, {**own, "hostnames": [SHARED]}]}
        return {"route": own}


def some_routes(gateways: Sequence[str], random: Random) -> Routes:
    """What a user wants of routes."""
    return Routes(random.choice(gateways), random.choice(SORTS))


def requests_of(services: Sequence[str]) -> list[tuple[str, str]]:
    """What clients ask for: host and path."""
    found = [(SHARED, "/"), ("absent.test", "/")]
    for name in services:
        found += [(f"{name}.test", "/"), (f"{name}.test", "/api/x"), (f"a.{name}.test", "/x")]
    return found
