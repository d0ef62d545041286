"""Which networks this host reaches by routes and addresses that are not the engine's.

Read from the kernel's own tables, the IPv4 addresses from the interfaces. Default routes do not count: every address would
collide with them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final

from reconciler.core.admission.policy import Subnet

ROUTES_4: Final = Path("/proc/net/route")
ROUTES_6: Final = Path("/proc/net/ipv6_route")

_ENGINES: Final = re.compile(r"docker0|docker_gwbridge|br-[0-9a-f]{12}|veth.*")


def routes() -> tuple[Subnet, ...]:
    """The networks that this host reaches without the engine."""
    found = {*read_ipv4(_text(ROUTES_4)), *read_ipv6(_text(ROUTES_6)), *_addresses()}
    return tuple(sorted(found, key=lambda net: (net.version, int(net.network_address), net.prefixlen)))


def read_ipv4(table: str) -> Iterator[IPv4Network]:
    """The destinations in /proc/net/route: little-endian words in hexadecimal, after a line of titles."""
    for line in table.splitlines()[1:]:
        with suppress(IndexError, ValueError):
            fields = line.split()
            address, mask = (int.from_bytes(bytes.fromhex(fields[at]), "little") for at in (1, 7))
            if mask and not _ENGINES.fullmatch(fields[0]):
                yield IPv4Network(f"{IPv4Address(address)}/{IPv4Address(mask)}")


def read_ipv6(table: str) -> Iterator[IPv6Network]:
    """The destinations in /proc/net/ipv6_route: 32 digits, the length of the prefix, and the interface at the end."""
    for line in table.splitlines():
        with suppress(IndexError, ValueError):
            fields = line.split()
            prefix = int(fields[1], 16)
            if prefix and not _ENGINES.fullmatch(fields[-1]):
                yield IPv6Network((bytes.fromhex(fields[0]), prefix))


def _addresses() -> Iterator[Subnet]:
    import psutil

    for interface, addresses in psutil.net_if_addrs().items():
        for each in addresses if not _ENGINES.fullmatch(interface) else ():
            if each.family == socket.AF_INET:
                yield ip_network(each.address)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
