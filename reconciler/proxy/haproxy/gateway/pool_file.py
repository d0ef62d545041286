"""The file of one pool: its backend and its servers.

The gateway writes it while the pool is spare, and the service that has the pool from then on, so it has one writer at a
time. A worker that starts reads the servers from it; a running one is told over its socket.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from reconciler.core.assess.observation import DEFAULT_WEIGHT
from reconciler.core.desired.stack import Probe
from reconciler.proxy.haproxy.gateway.pools import PoolKind, kind_of
from reconciler.proxy.haproxy.values import address_text, check_options, name_text, weighed

__all__ = ["PoolServer", "head", "read_pool", "render_pool", "server_options"]

COMPRESSED_TYPES: Final = (
    *("text/html", "text/plain", "text/css", "text/javascript", "text/xml", "application/javascript"),
    *("application/json", "application/xml", "application/manifest+json", "image/svg+xml"),
)

_SERVER: Final = re.compile(
    r"^    server (?P<name>\S+) (?P<address>\S+)(?: weight (?P<weight>0|[1-9][0-9]{0,2}))?"
    r" check inter (?P<interval>[0-9]{1,10})ms .*\n",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, order=True)
class PoolServer:
    """A server of a pool: name, "IPv4:port", and its share of requests."""

    name: str
    address: str
    weight: int = DEFAULT_WEIGHT


def render_pool(pool: str, servers: Iterable[PoolServer], health: Probe | None) -> str:
    """The file of a pool; `health` is needed for servers. Raises ValueError for what could be more than it says."""
    lines = [head(pool)]
    for server in sorted(servers):
        if health is None:
            raise ValueError(f"pool {pool}: a server without a health check")
        name = name_text("server name", server.name)
        share = f" weight {weighed(server.weight)}" if server.weight != DEFAULT_WEIGHT else ""
        lines.append(
            f"    server {name} {address_text(server.address)}{share} {server_options(pool, name, health)}\n"
        )
    return "".join(lines)


def head(pool: str) -> str:
    """The file of a pool without servers."""
    kind = kind_of(pool)
    lines = [f"backend {pool} from {'tcp-pool' if kind is PoolKind.TCP else 'http-pool'}"]
    if kind.is_compressed:
        lines += [
            "filter compression",
            "compression algo gzip",
            f"compression type {' '.join(COMPRESSED_TYPES)}",
        ]
    if kind.is_sticky:
        # With the pool's name: two services of one host do not take each other's cookie.
        lines += [f"cookie vault-{pool} insert indirect nocache httponly attr SameSite=Lax"]
    return "\n    ".join(lines) + "\n"


def server_options(pool: str, name: str, health: Probe) -> str:
    """The keywords of a server, in the file and for `add server`: nothing is inherited there."""
    kind = kind_of(pool)
    cookie = f" cookie {name_text('server name', name)}" if kind.is_sticky else ""
    return f"{check_options(health)}{cookie}"


def read_pool(pool: str, text: str) -> tuple[PoolServer, ...] | None:
    """The servers of a pool's file; None when the file is not one that was rendered for this pool."""
    found = list(_SERVER.finditer(text))
    servers = [
        PoolServer(each["name"], each["address"], int(each["weight"] or DEFAULT_WEIGHT)) for each in found
    ]
    # Only the interval of a check is in the file; its path and host are in maps.
    probe = Probe("/", "localhost", int(found[0]["interval"]) / 1000) if found else None
    try:
        is_ours = render_pool(pool, servers, probe) == text
    except ValueError:
        return None
    return tuple(sorted(servers)) if is_ours else None
