"""Conditions summarise the state of a resource in the form that kstatus and `kubectl wait` expect.

`Ready` is the summary. `Reconciling` means that progress continues, `Stalled` that a user has to act first.
`Degraded` means that the service serves, but not with what was asked for; `Accepted`, that gateways serve all its routes.
The functions are pure: `now` is a parameter.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import Field

from reconciler.api.condition_types import (
    CONDITION_TYPES,
    LONGEST_MESSAGE,
    ConditionStatus,
    ConditionType,
)
from reconciler.api.formats import Reason
from reconciler.api.model import ApiModel
from reconciler.api.quantities import Timestamp

__all__ = ["Condition", "set_condition"]


class Condition(ApiModel):
    """One aspect of the current state, with the reason for it and the time of its last change."""

    type: ConditionType = Field(
        description="Which aspect: Ready, Reconciling, Stalled, Degraded or Accepted."
    )
    status: ConditionStatus = Field(description="True, False, or Unknown when it could not be observed.")
    reason: Reason = Field(description="One CamelCase word for programs, for instance RolloutComplete.")
    message: str = Field(
        default="", max_length=LONGEST_MESSAGE, description="One sentence for people; never holds a secret."
    )
    last_transition_time: Timestamp | None = Field(
        default=None, description="When `status` last changed its value (RFC 3339, UTC)."
    )
    observed_generation: int = Field(
        default=0, ge=0, description="The metadata.generation that this condition refers to."
    )


def set_condition(
    conditions: Iterable[Condition], condition: Condition, now: datetime
) -> tuple[Condition, ...]:
    """`conditions` with `condition` replacing the one of its type, in the order of CONDITION_TYPES.

    `lastTransitionTime` becomes `now` (aware) only if `status` changes, not for a new reason or message.
    """
    by_type = {other.type: other for other in conditions}
    previous = by_type.get(condition.type)
    unchanged = previous is not None and previous.status == condition.status
    since = previous.last_transition_time if previous is not None and unchanged else now
    by_type[condition.type] = condition.model_copy(update={"last_transition_time": since or now})
    return tuple(by_type[each] for each in CONDITION_TYPES if each in by_type)
