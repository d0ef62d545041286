"""How many networks the engine's address pools have room for."""

from typing import Any

import pytest

from reconciler.engines.compose.address_pools import networks_left

POOL = [{"Base": "10.200.0.0/16", "Size": 24}]


def network(*subnets: str) -> dict[str, Any]:
    return {"IPAM": {"Config": [{"Subnet": subnet} for subnet in subnets]}}


@pytest.mark.parametrize(
    ("pools", "networks", "left"),
    [
        (None, [], 31),
        (None, [network("172.17.0.0/16")], 30),
        (None, [network("172.21.0.0/16"), network("192.168.16.0/20")], 29),
        (POOL, [], 256),
        (POOL, [network("10.200.0.0/24"), network("10.200.255.0/24")], 254),
        (POOL, [network("10.200.4.0/22")], 252),
        (POOL, [network("10.200.0.128/25"), network("10.200.0.0/25")], 255),
        (POOL, [network("10.0.0.0/8")], 0),
        (POOL, [network("172.17.0.0/16"), network("fd00::/64"), network()], 256),
        (POOL, [{"IPAM": {"Config": None}}, {"IPAM": None}, {}], 256),
        ([*POOL, {"Base": "10.201.0.0/23", "Size": 24}], [network("10.201.1.0/24")], 257),
        ([*POOL, {"Base": "fd00::/48", "Size": 64}], [], 256),
    ],
)
def test_what_is_left(pools: list[dict[str, Any]] | None, networks: list[dict[str, Any]], left: int) -> None:
    assert networks_left(pools, networks) == left
