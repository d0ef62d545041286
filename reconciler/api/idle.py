"""What becomes of a service that has no requests: its replicas are stopped, and the next request starts them again."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, field_validator

from reconciler.api.model import ApiModel
from reconciler.api.quantities import Duration, Seconds

__all__ = ["Idle"]

MIN_AFTER: Final = 1.0
MAX_AFTER: Final = 14 * 86400.0
"""HAProxy remembers for 24 days when a pool had its last request."""

MAX_HOLD: Final = 600.0


class Idle(ApiModel):
    """When web replicas are stopped for want of requests; the next request waits until one serves again."""

    after: Duration = Field(
        description="Time without a request and without an open connection, from 1s to 14d, after which replicas stop."
    )
    hold_seconds: Annotated[Seconds, Field(gt=0, le=MAX_HOLD)] = Field(
        default=60.0,
        description=(
            "Seconds that a request waits for a replica, before it is answered 503; replicas have to boot in that time. "
            "The greater one of this and proxy.holdSeconds applies."
        ),
    )

    @field_validator("after")
    @classmethod
    def _sensible(cls, seconds: float) -> float:
        if not MIN_AFTER <= seconds <= MAX_AFTER:
            raise ValueError("must be between 1s and 14d")
        return seconds
