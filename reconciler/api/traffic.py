"""How requests reach the replicas: the published port, the health check and HAProxy.

The plugin decides fields that are unset, through the VAULT_WEB_* settings of the plugin contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from reconciler.api.formats import HeaderPattern, Hostname, ImageReference, UrlPath
from reconciler.api.model import ApiModel
from reconciler.api.quantities import Duration, Seconds
from reconciler.api.revisioned import REVISIONED

__all__ = ["HealthCheck", "Port", "Ports", "Proxy", "check_dropped"]

MIN_CHECK_SECONDS: Final = 0.1
MAX_CHECK_SECONDS: Final = 3600.0

MAX_CONNECTIONS: Final = 8192
"""Connections that each HAProxy accepts in all. Without a limit it sizes its tables by the container's open-files limit."""
MIN_HEADER_KIB: Final = 16
MAX_HEADER_KIB: Final = 256
MAX_DROPPED: Final = 64

CLIENT_ADDRESSES: Final = (
    "CF-Connecting-*",
    "CF-Pseudo-*",
    "Client-IP",
    "Cluster-Client-IP",
    "DO-Connecting-IP",
    "Fastly-Client-IP",
    "Fly-Client-IP",
    "Remote-Addr",
    "True-Client-IP",
    "X-AppEngine-User-IP",
    "X-Azure-ClientIP",
    "X-Azure-SocketIP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Envoy-External-Address",
    "X-NF-Client-Connection-IP",
    "X-Originating-IP",
    "X-ProxyUser-IP",
    "X-Remote-Addr",
    "X-Remote-IP",
)
"""Headers in which a CDN or a proxy passes on the client's address. Without a CDN in front of HAProxy, any client can
set them."""

NEEDED: Final = (
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
)
"""Headers that change the meaning of a request if they are dropped."""

Port = Annotated[int, Field(ge=1, le=65535)]


class Ports(ApiModel):
    """Where the service listens."""

    http: Port = Field(
        default=8080,
        description="Port on the host, published by the gateway for HAProxy (1 to 65535); not with spec.route.",
    )
    container: Annotated[Port | None, REVISIONED] = Field(
        default=None,
        description="Port of the application in its containers. Unset: VAULT_WEB_PORT, then the plugin's.",
    )


class HealthCheck(ApiModel):
    """How HAProxy checks whether a replica can serve."""

    path: UrlPath | None = Field(
        default=None,
        description=(
            "Path that answers 2xx or 3xx when healthy. Unset: VAULT_WEB_HEALTHCHECK_PATH, then the plugin's."
        ),
    )
    host: Hostname | None = Field(
        default=None,
        description="Host header of the check. Unset: VAULT_WEB_HEALTHCHECK_HOST, then the plugin's.",
    )
    interval: Duration = Field(
        default=2.0, description="Time between two checks of one replica, from 100ms to 1h."
    )

    @field_validator("interval")
    @classmethod
    def _sensible(cls, seconds: float) -> float:
        if not MIN_CHECK_SECONDS <= seconds <= MAX_CHECK_SECONDS:
            raise ValueError("must be between 100ms and 1h")
        return seconds


class Proxy(ApiModel):
    """The HAProxy in front of the replicas."""

    replicas: int = Field(
        default=1, ge=1, le=2, description="1, or 2 for a pair that survives a crash of one."
    )
    image: ImageReference = Field(default="haproxy:3.0", description="HAProxy image; 3.0 or newer.")
    network: Literal["host", "published"] = Field(
        default="published",
        description=(
            "published: the engine publishes ports.http of a container. host: HAProxy opens it on the network of the host, "
            "so a restart of the engine interrupts nothing; it needs Linux and an engine that runs as root."
        ),
    )
    hold_seconds: Seconds = Field(
        default=30.0,
        description="Seconds that a request waits while no replica serves, before it is answered 503.",
    )
    max_header_kib: int = Field(
        default=32,
        ge=MIN_HEADER_KIB,
        le=MAX_HEADER_KIB,
        alias="maxHeaderKiB",
        description=(
            "Maximum size of all headers of a request or a response in KiB (16 to 256); a larger request is "
            "answered 400. HAProxy needs up to twice as much memory for each request in progress."
        ),
    )
    drop_headers: list[HeaderPattern] = Field(
        default=list(CLIENT_ADDRESSES),
        max_length=MAX_DROPPED,
        description=(
            "Request headers that are removed before a request reaches a replica, in any case and with any character "
            "for '-'; 'X-Auth-*' is a prefix. A list replaces the default, the headers in which CDNs pass on the "
            "client's address. X-Forwarded-*, Forwarded, X-Real-* and Proxy are always removed."
        ),
    )

    @field_validator("drop_headers")
    @classmethod
    def _not_needed(cls, patterns: list[str]) -> list[str]:
        check_dropped(patterns)
        return patterns


def check_dropped(patterns: Iterable[str]) -> None:
    """Raise ValueError for a pattern of headers that requests need."""
    for pattern in patterns:
        if needed := [name for name in NEEDED if fnmatchcase(name, pattern.lower())]:
            raise ValueError(f"{pattern!r} would drop {needed[0]}, which requests need")
