"""Checks values before they are written into an HAProxy configuration or a command.

Everything that comes from a spec, a plugin or an engine passes one of these, so that no value can be more than itself.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, ip_address
from math import isfinite
from typing import Final

from reconciler.core.assess.observation import MAX_WEIGHT
from reconciler.core.desired.stack import Probe

__all__ = [
    "ERROR_LIMIT",
    "address_text",
    "bind_address",
    "check_host",
    "check_options",
    "check_path",
    "header_bytes",
    "image_text",
    "milliseconds",
    "name_text",
    "server_name",
    "weighed",
]

FAST_CHECK: Final = 0.25
"""Seconds between two checks of a server whose state is changing (fastinter)."""
START_CHECK: Final = 0.1
"""Seconds between two checks of a server that is DOWN (downinter), usually because it is starting."""
RISE: Final = 1
FALL: Final = 3
"""Consecutive checks that set a server UP or DOWN: the thresholds of a Kubernetes readiness probe."""
ERROR_LIMIT: Final = 3
"""Consecutive failed connections that set a server DOWN before its next check."""
MAX_HEADER_KIB: Final = 1024
LONGEST: Final = 24 * 86400.0
"""Seconds of HAProxy's longest duration: it counts milliseconds in 31 bits."""


_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?")
_SERVER_NAME: Final = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~:@!&=+,;*/?-]|%[0-9A-Fa-f]{2}){0,255}")
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,399}")


def name_text(field: str, value: str) -> str:
    """A name of a server or a pool."""
    return _matching(field, _NAME, value)


def image_text(value: str) -> str:
    """The reference of an image."""
    return _matching("image", _IMAGE, value)


def check_path(value: str) -> str:
    """The path of a health check."""
    return _matching("health check path", _PATH, value)


def check_host(value: str) -> str:
    """The host of a health check."""
    return _matching("health check host", _HOST, value)


def server_name(value: str) -> str:
    """A host that clients ask for in TLS; `*.` before it stands for one label."""
    return _matching("server name", _SERVER_NAME, value)


def weighed(weight: int) -> int:
    """The weight, if it is valid for HAProxy."""
    if not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"server weight: {weight!r} is not from 0 to {MAX_WEIGHT}")
    return weight


def check_options(health: Probe) -> str:
    """The keywords of a server's health check.

    A server that is added at run time inherits nothing from `default-server`, so both are made from this.
    """
    inter = max(1, milliseconds("health check interval", health.interval))
    fast, start = (min(inter, round(seconds * 1000)) for seconds in (FAST_CHECK, START_CHECK))
    return (
        f"check inter {inter}ms fastinter {fast}ms downinter {start}ms rise {RISE} fall {FALL} "
        f"observe layer4 error-limit {ERROR_LIMIT} on-error mark-down"
    )


def _matching(field: str, pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"{field}: {value!r} cannot be written into an HAProxy configuration")
    return value


def address_text(value: str) -> str:
    """ "IPv4:port", in its normal form."""
    host, _, port = value.rpartition(":")
    try:
        address = IPv4Address(host)
    except AddressValueError:
        raise ValueError(f"server address: {value!r} is not IPv4:port") from None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError(f"server address: {value!r} has no port from 1 to 65535")
    return f"{address}:{int(port)}"


def bind_address(value: str) -> str:
    """An address of the host, in its normal form; empty for all."""
    try:
        return str(ip_address(value)) if value else ""
    except ValueError:
        raise ValueError(f"address: {value!r} is no IP address") from None


def header_bytes(kib: int) -> int:
    """Bytes for the headers of a request."""
    if not 1 <= kib <= MAX_HEADER_KIB:
        raise ValueError(f"header KiB: {kib!r} is not from 1 to {MAX_HEADER_KIB}")
    return kib * 1024


def milliseconds(field: str, seconds: float) -> int:
    """A duration as HAProxy counts it."""
    if not (isfinite(seconds) and 0 <= seconds <= LONGEST):
        raise ValueError(f"{field}: {seconds!r} is not from 0 to {LONGEST:.0f} seconds")
    return round(seconds * 1000)
