"""How what runs differs from what is wanted, and what would be done about it first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from reconciler.core.assess.diff import Difference
    from reconciler.core.desired.stack import Stack
    from reconciler.core.plan.operations import Plan

__all__ = ["Seen", "difference_document", "differs"]


class Seen(Protocol):
    """A stack beside what runs of it."""

    @property
    def stack(self) -> Stack:
        """What is wanted."""

    @property
    def plan(self) -> Plan:
        """What the next pass would do."""

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What is not as it should be."""


def differs(seen: Seen) -> bool:
    """Whether anything is not as it should be, or will be done."""
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
