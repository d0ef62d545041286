"""How requests reach the replicas: the published port, the health check and the HAProxy in between.

What is left unset is decided by the plugin, through the VAULT_WEB_* settings of the plugin contract.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, field_validator

from reconciler.api.formats import Hostname, ImageReference, UrlPath
from reconciler.api.model import ApiModel
from reconciler.api.quantities import Duration, Seconds
from reconciler.api.revisioned import REVISIONED

__all__ = ["HealthCheck", "Port", "Ports", "Proxy"]

MIN_CHECK_SECONDS: Final = 0.1
MAX_CHECK_SECONDS: Final = 3600.0

Port = Annotated[int, Field(ge=1, le=65535)]


class Ports(ApiModel):
    """Where the service listens."""

    http: Port = Field(
        default=8080, description="Port on the host, published by the gateway for HAProxy (1 to 65535)."
    )
    container: Annotated[Port | None, REVISIONED] = Field(
        default=None,
        description="Port of the application in its containers. Unset: VAULT_WEB_PORT, then the plugin's.",
    )


class HealthCheck(ApiModel):
    """How HAProxy finds out whether a replica can serve."""

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
        default=1, ge=1, le=2, description="1, or 2 for a pair that survives the crash of one."
    )
    image: ImageReference = Field(default="haproxy:3.0", description="HAProxy image; 3.0 or newer.")
    hold_seconds: Seconds = Field(
        default=30.0,
        description="Seconds that a request waits while no replica serves, before it is answered 503.",
    )
