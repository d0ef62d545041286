"""The kernel's tables of routes, as text, and those of this machine."""

from __future__ import annotations

from ipaddress import ip_network

from reconciler.engines.host_routes import read_ipv4, read_ipv6, routes

IPV4 = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
tun0\t0000050A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br-0123456789ab\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
broken
"""
IPV6 = """fd000001000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 br-0123456789ab
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
broken
"""  # noqa: E501


def test_routes_of_the_host_count_and_those_of_the_engine_do_not() -> None:
    assert list(read_ipv4(IPV4)) == [ip_network("192.168.1.0/24"), ip_network("10.5.0.0/16")]
    assert list(read_ipv6(IPV6)) == [ip_network("fd00:1::/64")]


def test_this_machine_has_its_loopback() -> None:
    assert ip_network("127.0.0.1/32") in routes()
