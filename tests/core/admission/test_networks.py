"""Addresses that a network may have: private ones, in which the host has no route of its own."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from reconciler.core.admission import Policy, review

ROUTES = tuple(map(ip_network, ("192.168.1.0/24", "10.5.0.0/16", "10.9.9.9/32", "fd00:1::/64")))


def refused(config: Any, **ipam: Any) -> list[str]:
    sections = {"networks": {"n": {"ipam": {"config": config, **ipam}}}}
    found = review(sections, [], Policy(routes=lambda: ROUTES))
    assert {finding.rule for finding in found} <= {"network-addresses"}
    return sorted({finding.path.removeprefix("networks.n.ipam") for finding in found})


@pytest.mark.parametrize(
    "subnet",
    ["172.28.0.0/16", "10.0.0.0/24", "192.168.2.0/30", "fd12:3456::/48", "10.6.0.0/16", "fc00::/64"],
)
def test_a_private_subnet_that_the_host_does_not_reach_passes(subnet: str) -> None:
    assert refused([{"subnet": subnet}]) == []


@pytest.mark.parametrize(
    "subnet",
    [
        "8.8.8.0/24", "0.0.0.0/0", "0.0.0.0/1", "::/0", "2001:4860::/32",  # what others have
        "100.64.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "203.0.113.0/24", "198.18.0.0/16", "fe80::/64",
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/15", "fc00::/7",  # more than a network needs
        "192.168.1.128/25", "192.168.0.0/16", "10.5.7.0/24", "10.9.9.0/24", "fd00:1::/48",  # the host's
        "10.0.0.1/24", "10.0.0.0", "ten", "", "::ffff:8.8.8.0/120", 167772160, True, {}, [],
    ],
)  # fmt: skip
def test_any_other_subnet_is_refused(subnet: object) -> None:
    assert refused([{"subnet": subnet}]) == [".config[0].subnet"]


def test_what_stands_beside_a_subnet_lies_in_it() -> None:
    good = {
        "subnet": "172.28.0.0/16",
        "gateway": "172.28.0.1",
        "ip_range": "172.28.5.0/24",
        "aux_addresses": {"a": "172.28.1.1"},
    }
    assert refused([good]) == []
    assert refused([{**good, "gateway": "8.8.8.8"}]) == [".config[0].gateway"]
    assert refused([{**good, "ip_range": "172.0.0.0/8"}]) == [".config[0].ip_range"]
    assert refused([{**good, "aux_addresses": {"a": "10.0.0.1"}}]) == [".config[0].aux_addresses.a"]
    assert refused([{"ip_range": "10.0.0.0/24"}]) == [".config[0].ip_range"]


def test_a_program_or_an_unknown_word_is_refused_and_nothing_is_nothing() -> None:
    assert refused([]) == refused(None, driver="default") == []
    assert refused([], driver="dhcp", options={"a": "b"}) == [".driver", ".options"]
    assert refused([{"subnet": "172.28.0.0/16", "label": 1}, "x"]) == [".config[0].label", ".config[1]"]
