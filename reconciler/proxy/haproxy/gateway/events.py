"""Whose servers an event of a gateway's HAProxies is about: its line names the pool, and the assignment the service."""

from __future__ import annotations

import re
from typing import Final

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.events import Whose
from reconciler.proxy.haproxy.gateway.directory import read_held
from reconciler.proxy.haproxy.gateway.pools import POOL_NAME

__all__ = ["whose"]

_POOL: Final = re.compile(rf"\b({POOL_NAME})\b".encode())


def whose(site: Site) -> Whose:
    """Gives the service that has the pool that a line names; "" where there is none, or where it cannot be read."""
    return lambda line: _service(site, line)


def _service(site: Site, line: bytes) -> str:
    named = _POOL.search(line)
    try:
        held = read_held(site) if named else {}
    except OSError:
        return ""
    return next((need.service for need, pool in held.items() if named and pool == named[1].decode()), "")
