"""The differences between the observed and the desired state, and the operations of the next pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from reconciler.core.assess.diff import Difference
    from reconciler.core.desired.stack import Stack
    from reconciler.core.plan.operations import Plan

__all__ = ["Seen", "difference_document", "differs"]


class Seen(Protocol):
    """A stack and its observed state."""

    @property
    def stack(self) -> Stack:
        """The desired state."""

    @property
    def plan(self) -> Plan:
        """The operations of the next pass."""

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The differences."""


def differs(seen: Seen) -> bool:
    """Whether there are differences or operations."""
    return bool(seen.differences or seen.plan.operations or seen.plan.blocked)


def difference_document(seen: Seen) -> dict[str, Any]:
    """The same for programs."""
    return {
        "name": seen.stack.name,
        "differences": [
            {"kind": str(each.kind), "subject": each.subject, "text": each.text} for each in seen.differences
        ],
        "operations": [
            {"kind": each.kind, "cause": each.cause.value, "text": each.sentence, "detail": each.detail}
            for each in seen.plan.operations
        ],
        "waiting": list(seen.plan.waiting),
        "blocked": seen.plan.blocked,
    }
