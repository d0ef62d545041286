"""The types of conditions and how to find one: what is needed to read conditions without building the models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, Protocol, TypeVar

__all__ = ["CONDITION_TYPES", "LONGEST_MESSAGE", "ConditionStatus", "ConditionType", "find_condition"]

ConditionType = Literal["Ready", "Reconciling", "Stalled", "Degraded", "Accepted"]
ConditionStatus = Literal["True", "False", "Unknown"]

CONDITION_TYPES: Final[tuple[ConditionType, ...]] = (
    "Ready",
    "Reconciling",
    "Stalled",
    "Degraded",
    "Accepted",
)

LONGEST_MESSAGE: Final = 32768
"""Longest message of a condition in characters, as in Kubernetes."""


class Typed(Protocol):
    """A condition, as a model or as it was read from a file."""

    @property
    def type(self) -> ConditionType:
        """The type of the condition."""


Found = TypeVar("Found", bound=Typed)


def find_condition(conditions: Iterable[Found], type_: ConditionType) -> Found | None:
    """The condition of that type, or None when it was never set."""
    return next((condition for condition in conditions if condition.type == type_), None)
