"""The file of one pool: its settings, its backend and its servers.

The gateway writes it while the pool is spare, and the service that has the pool from then on, so it has one writer at a
time. A worker that starts reads the servers from it; a running one is told over its socket. The settings are a comment:
HAProxy takes them from maps, which the gateway makes of these files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from reconciler.core.assess.observation import DEFAULT_WEIGHT
from reconciler.core.desired.stack import Probe
from reconciler.proxy.haproxy.gateway.pools import PoolKind, kind_of
from reconciler.proxy.haproxy.values import (
    address_text,
    check_host,
    check_options,
    check_path,
    milliseconds,
    name_text,
    weighed,
)

__all__ = [
    "PoolServer",
    "PoolSettings",
    "WrittenPool",
    "head",
    "read_pool",
    "render_pool",
    "server_options",
    "settings_text",
]

COMPRESSED_TYPES: Final = (
    *("text/html", "text/plain", "text/css", "text/javascript", "text/xml", "application/javascript"),
    *("application/json", "application/xml", "application/manifest+json", "image/svg+xml"),
)

_PROTOCOLS: Final = {PoolKind.H2C: " proto h2", PoolKind.TCP_PROXY: " send-proxy-v2"}
"""What is spoken with the servers of a kind of pool, if it is not HTTP/1.1 or just their protocol."""

_SETTINGS: Final = re.compile(
    r"# check (?P<path>\S+) host (?P<host>\S+) inter (?P<interval>[0-9]{1,10})ms hold (?P<hold>[0-9]{1,10})ms\n"
)
_SERVER: Final = re.compile(
    r"^    server (?P<name>\S+) (?P<address>\S+)(?: weight (?P<weight>0|[1-9][0-9]{0,2}))? check .*\n",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What a service says of its pool: how replicas are checked, and how long requests wait for one, in seconds."""

    health: Probe
    hold_seconds: float


@dataclass(frozen=True, slots=True, order=True)
class PoolServer:
    """A server of a pool: name, "IPv4:port", and its share of requests."""

    name: str
    address: str
    weight: int = DEFAULT_WEIGHT


@dataclass(frozen=True, slots=True)
class WrittenPool:
    """What the file of a pool says; a spare one has no settings."""

    settings: PoolSettings | None = None
    servers: tuple[PoolServer, ...] = ()


def render_pool(pool: str, servers: Iterable[PoolServer], settings: PoolSettings | None) -> str:
    """The file of a pool; one with servers needs settings. Raises ValueError for what could be more than it says."""
    lines = [settings_text(settings)] if settings else []
    lines.append(head(pool))
    for server in sorted(servers):
        if settings is None:
            raise ValueError(f"pool {pool}: a server without a health check")
        name = name_text("server name", server.name)
        share = f" weight {weighed(server.weight)}" if server.weight != DEFAULT_WEIGHT else ""
        options = server_options(pool, name, settings.health)
        lines.append(f"    server {name} {address_text(server.address)}{share} {options}\n")
    return "".join(lines)


def settings_text(settings: PoolSettings) -> str:
    """The line of a pool's file that says its settings. Raises ValueError for what could be more than that."""
    health = settings.health
    interval = max(1, milliseconds("health check interval", health.interval))
    hold = milliseconds("hold seconds", settings.hold_seconds)
    return (
        f"# check {check_path(health.path)} host {check_host(health.host)} inter {interval}ms hold {hold}ms\n"
    )


def head(pool: str) -> str:
    """The file of a pool without servers."""
    kind = kind_of(pool)
    lines = [f"backend {pool} from {'tcp-pool' if kind.is_tcp else 'http-pool'}"]
    if kind.is_compressed:
        lines += [
            "filter compression",
            "compression algo gzip",
            f"compression type {' '.join(COMPRESSED_TYPES)}",
        ]
    if kind is PoolKind.H2C:
        # Whether it accepts connections: gRPC servers answer no GET, and an HTTP/2 server answers no HTTP/1.
        lines.append("option tcp-check")
    if kind.is_sticky:
        # With the pool's name: two services of one host do not take each other's cookie.
        lines += [f"cookie vault-{pool} insert indirect nocache httponly attr SameSite=Lax"]
    return "\n    ".join(lines) + "\n"


def server_options(pool: str, name: str, health: Probe) -> str:
    """The keywords of a server, in the file and for `add server`: nothing is inherited there."""
    kind = kind_of(pool)
    cookie = f" cookie {name_text('server name', name)}" if kind.is_sticky else ""
    return f"{check_options(health)}{cookie}{_PROTOCOLS.get(kind, '')}"


@lru_cache(maxsize=4096)
def read_pool(pool: str, text: str) -> WrittenPool | None:
    """What the file of a pool says; None when the file is not one that was rendered for this pool."""
    said = _SETTINGS.match(text)
    settings = said and PoolSettings(
        Probe(said["path"], said["host"], int(said["interval"]) / 1000), int(said["hold"]) / 1000
    )
    servers = [
        PoolServer(each["name"], each["address"], int(each["weight"] or DEFAULT_WEIGHT))
        for each in _SERVER.finditer(text)
    ]
    try:
        is_ours = render_pool(pool, servers, settings) == text
    except ValueError:
        return None
    return WrittenPool(settings, tuple(sorted(servers))) if is_ours else None
