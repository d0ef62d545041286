"""Networks and origins: text whose parts have to be right as well, so a pattern alone does not do.

They are kept as their author wrote them; `network_of` gives the value that is compared.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

__all__ = ["Address", "Cidr", "Network", "Origin", "network_of"]

Network = IPv4Network | IPv6Network

_ORIGIN: Final = re.compile(
    r"https?://[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*(?::[1-9][0-9]{0,4})?"
)
_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
LONGEST_ORIGIN: Final = 270
MAX_PORT: Final = 65535


def network_of(cidr: str) -> Network:
    """The network of a text that has the type Cidr."""
    return ip_network(cidr)


def _cidr(value: str) -> str:
    if "%" in value:
        raise PydanticCustomError("cidr", "must be a network without a zone, such as fe80::/10")
    try:
        ip_network(value)
    except ValueError:
        _refuse_host_bits(value)
        raise PydanticCustomError(
            "cidr", "must be an address or a network such as 10.0.0.0/8 or 2001:db8::/32"
        ) from None
    return value


def _refuse_host_bits(value: str) -> None:
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        return
    raise PydanticCustomError(
        "cidr",
        "must be a network, but bits are set behind its prefix; write {network}",
        {"network": str(network)},
    )


def _address(value: str) -> str:
    try:
        if "%" in value:
            raise ValueError
        ip_address(value)
    except ValueError:
        raise PydanticCustomError("address", "must be an IPv4 or IPv6 address such as 127.0.0.1") from None
    return value


def _origin(value: str) -> str:
    if value == "*":
        return value
    if len(value) > LONGEST_ORIGIN or not _ORIGIN.fullmatch(value):
        raise PydanticCustomError(
            "origin",
            "must be '*' or an origin such as https://app.example.org, in lower case and without a path",
        )
    scheme, _, rest = value.partition("://")
    port = rest.partition(":")[2]
    if port and int(port) > MAX_PORT:
        raise PydanticCustomError("origin", "must have a port from 1 to 65535")
    if port == _DEFAULT_PORTS[scheme]:
        # Browsers leave the default port out, so it would never match.
        raise PydanticCustomError("origin", "must not name the default port of its scheme")
    return value


Cidr = Annotated[str, AfterValidator(_cidr), Field(max_length=64)]
"""An IPv4 or IPv6 network, or a single address."""

Address = Annotated[str, AfterValidator(_address), Field(max_length=64)]
"""An IPv4 or IPv6 address."""

Origin = Annotated[str, AfterValidator(_origin), Field(max_length=LONGEST_ORIGIN)]
"""An origin of the CORS protocol, as browsers write it."""
