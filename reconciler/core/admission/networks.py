"""Addresses that a fragment requests for its networks: the host routes traffic for them to a container.

So they must be private ones, not more than a network of this size needs, and none that the host reaches by a route of its
own. Routes of the engine's bridges are no reason: the engine itself refuses subnets that overlap with its networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final

from reconciler.core.admission.checks import NOTHING, items
from reconciler.core.admission.policy import Hits, Subject, Subnet

PRIVATE: Final = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
"""RFC 1918 and RFC 4193. Not Python's `is_private`, which also has ranges for documentation and for tests."""

SHORTEST_PREFIX: Final = {4: 16, 6: 48}
"""A /16 has 65,536 addresses and is what the engine itself gives a network at most."""


def public_subnets(value: Any, _: Subject) -> Hits:
    """Subnets that are not private, too big, or not valid."""
    for place, text in _subnets(value):
        if (subnet := _read(text)) is None or not _is_private(subnet):
            yield place, text


def routed_subnets(value: Any, subject: Subject) -> Hits:
    """Subnets in which the host reaches something by a route of its own, or has an address."""
    for place, text in _subnets(value):
        subnet = _read(text)
        if subnet is not None and any(_overlap(subnet, route) for route in subject.policy.routes()):
            yield place, text


def foreign_addresses(value: Any, _: Subject) -> Hits:
    """Gateways, ranges and addresses that do not lie in the subnet beside them."""
    for place, block in _blocks(value):
        subnet = _read(block.get("subnet"))
        for field, text in _addresses(block):
            inner = _read(text, strict=False)
            if subnet is None or inner is None or not _is_in(inner, subnet):
                yield f"{place}.{field}", text


def unknown_ipam(value: Any, _: Subject) -> Hits:
    """Fields of an ipam besides the addresses: a driver is a program, and takes options."""
    if value in NOTHING:
        return
    if not isinstance(value, Mapping):
        yield "", value
        return
    if value.get("driver") not in (None, "", "default"):
        yield ".driver", value["driver"]
    for key in value:
        if key not in ("driver", "config") and not str(key).startswith("x-"):
            yield f".{key}", ""
    for place, block in items(value.get("config")):
        if not isinstance(block, Mapping):
            yield f".config{place}", block
            continue
        for key in block:
            if key not in ("subnet", "ip_range", "gateway", "aux_addresses") and not str(key).startswith(
                "x-"
            ):
                yield f".config{place}.{key}", ""


def _blocks(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    config = value.get("config") if isinstance(value, Mapping) else None
    for place, block in items(config) if isinstance(config, list) else ():
        if isinstance(block, Mapping):
            yield f".config{place}", block


def _subnets(value: Any) -> Iterator[tuple[str, object]]:
    for place, block in _blocks(value):
        if block.get("subnet") is not None:
            yield f"{place}.subnet", block["subnet"]


def _addresses(block: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for field in ("ip_range", "gateway"):
        if block.get(field) is not None:
            yield field, block[field]
    others = block.get("aux_addresses")
    for place, address in items(others):
        yield f"aux_addresses{place}", address


def _read(value: object, *, strict: bool = True) -> Subnet | None:
    # A number would be read as an address.
    if not isinstance(value, str) or (strict and "/" not in value):
        return None
    try:
        return ip_network(value) if "/" in value else ip_network(ip_address(value))
    except ValueError:
        return None


def _is_private(subnet: Subnet) -> bool:
    is_small = subnet.prefixlen >= SHORTEST_PREFIX[subnet.version]
    return is_small and any(_is_in(subnet, private) for private in PRIVATE)


def _is_in(inner: Subnet, outer: Subnet) -> bool:
    return inner.version == outer.version and _overlap(inner, outer) and inner.prefixlen >= outer.prefixlen


def _overlap(one: Subnet, other: Subnet) -> bool:
    return one.version == other.version and one.overlaps(other)
