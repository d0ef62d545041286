"""How running replicas are replaced: because of a changed spec (strategy) or their age (rotation).

The defaults lose no request and never serve with fewer replicas than desired: one extra replica at a time, and a replica
is removed only after its replacement serves.
"""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from reconciler.api.model import AS_STORED, ApiModel
from reconciler.api.quantities import Duration, IntOrPercent, Percent, Seconds

__all__ = ["RollingUpdate", "Rotation", "RotationMode", "Strategy", "StrategyType"]

StrategyType = Literal["RollingUpdate", "Recreate"]
RotationMode = Literal["rolling", "single-active"]

MIN_ROTATION_SECONDS: Final = 1.0


class RollingUpdate(ApiModel):
    """The budget of a rolling update. Used by RollingUpdate only."""

    max_surge: IntOrPercent = Field(
        default=IntOrPercent(1),
        description="Replicas above the desired number during a rollout; a percentage is rounded up.",
    )
    max_unavailable: IntOrPercent = Field(
        default=IntOrPercent(0),
        description=(
            "Replicas that may be missing from service during a rollout; a percentage is rounded down. "
            "If maxSurge is 0 as well, 1 is used."
        ),
    )


class Strategy(ApiModel):
    """How replicas of an old revision are replaced by new ones."""

    type: StrategyType | None = Field(
        default=None,
        description=(
            "RollingUpdate starts new replicas before it drains old ones. Recreate stops the old ones first "
            "and holds requests meanwhile (single-writer data). Unset: the plugin decides."
        ),
    )
    rolling_update: RollingUpdate = Field(
        default=RollingUpdate.model_construct(), description="The budget of a RollingUpdate."
    )
    min_ready_seconds: Seconds = Field(
        default=0.0,
        description=(
            "Seconds that a new replica must stay healthy before it counts as ready; less than "
            "progressDeadlineSeconds."
        ),
    )
    progress_deadline_seconds: Seconds = Field(
        default=120.0, gt=0, description="Seconds without progress after which a rollout has failed."
    )
    drain_seconds: Seconds = Field(
        default=30.0,
        description="Seconds that open connections have to finish before their replica is stopped.",
    )
    auto_rollback: bool = Field(
        default=True,
        description="Whether a rollout that has failed goes back to the last good revision by itself.",
    )
    paused: bool = Field(
        default=False, description="Whether rollouts wait; replicas of the current revision are still healed."
    )

    @model_validator(mode="after")
    def _can_be_ready_in_time(self, info: ValidationInfo) -> Self:
        ready, deadline = self.min_ready_seconds, self.progress_deadline_seconds
        if ready >= deadline and info.context != AS_STORED:
            default = "" if "progress_deadline_seconds" in self.model_fields_set else ", the default"
            raise PydanticCustomError(
                "cross_field",
                "must be less than progressDeadlineSeconds ({deadline}{default}): each rollout would fail "
                "before a replica counts as ready",
                {"field": "minReadySeconds", "deadline": f"{deadline:g}", "default": default},
            )
        return self


class Rotation(ApiModel):
    """Replacing healthy replicas because of their age (moving-target defence)."""

    interval: Duration = Field(description="Time between two replacements, for instance 120s; at least 1s.")
    jitter: Percent = Field(
        default=0.2,
        description="How far an interval may be off at random, so that its end cannot be guessed; 0% to 100%.",
    )
    mode: RotationMode = Field(
        default="rolling",
        description=(
            "rolling keeps all replicas serving and replaces the oldest one. single-active lets one replica "
            "serve at a time, the next one chosen at random."
        ),
    )

    @field_validator("interval")
    @classmethod
    def _not_a_busy_loop(cls, seconds: float) -> float:
        if seconds < MIN_ROTATION_SECONDS:
            raise ValueError("must be at least 1s")
        return seconds
