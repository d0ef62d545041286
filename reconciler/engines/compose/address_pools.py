"""How many networks an engine has addresses left for: each one takes a subnet out of its default address pools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, ip_network
from typing import Any, Final

BUILT_IN: Final[Sequence[Mapping[str, Any]]] = (
    {"Base": "172.17.0.0/16", "Size": 16},
    {"Base": "172.18.0.0/16", "Size": 16},
    {"Base": "172.19.0.0/16", "Size": 16},
    {"Base": "172.20.0.0/14", "Size": 16},
    {"Base": "172.24.0.0/14", "Size": 16},
    {"Base": "172.28.0.0/14", "Size": 16},
    {"Base": "192.168.0.0/16", "Size": 20},
)
"""The default local pools of an engine (Moby, libnetwork/ipamutils): 31 networks."""


def networks_left(pools: Sequence[Mapping[str, Any]] | None, networks: Iterable[Mapping[str, Any]]) -> int:
    """How many more networks fit, from `DefaultAddressPools` of `GET /info` and the rows of `GET /networks`.

    IPv4 only; subnets of the host's own routes are not considered.
    """
    taken = [subnet for network in networks for subnet in _subnets(network)]
    return sum(_left(base, pool["Size"], taken) for pool in pools or BUILT_IN for base in _ipv4(pool["Base"]))


def _left(base: IPv4Network, size: int, taken: Iterable[IPv4Network]) -> int:
    """Subnets of `size` bits in `base` that overlap with none that is taken."""
    used: set[int] = set()
    step: int = 2 ** (base.max_prefixlen - size)
    for subnet in taken:
        if subnet.overlaps(base):
            first = max(subnet.network_address, base.network_address)
            last = min(subnet.broadcast_address, base.broadcast_address)
            start = int(base.network_address)
            used |= set(range((int(first) - start) // step, (int(last) - start) // step + 1))
    return base.num_addresses // step - len(used)


def _subnets(network: Mapping[str, Any]) -> Iterator[IPv4Network]:
    for block in (network.get("IPAM") or {}).get("Config") or ():
        yield from _ipv4(block["Subnet"])


def _ipv4(subnet: str) -> Iterator[IPv4Network]:
    found = ip_network(subnet, strict=False)
    if isinstance(found, IPv4Network):
        yield found
