"""The differences between the observed and the desired state, and the operations of the next pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconciler.core.plan.preview import Preview

__all__ = ["difference_document", "differs"]


def differs(preview: Preview) -> bool:
    """Whether there are differences or operations."""
    return bool(preview.differences or preview.plan.operations or preview.plan.blocked)


def difference_document(preview: Preview) -> dict[str, Any]:
    """The same for programs."""
    return {
        "name": preview.stack.name,
        "differences": [
            {"kind": str(each.kind), "subject": each.subject, "text": each.text}
            for each in preview.differences
        ],
        "operations": [
            {"kind": each.kind, "cause": each.cause.value, "text": each.sentence, "detail": each.detail}
            for each in preview.plan.operations
        ],
        "waiting": list(preview.plan.waiting),
        "blocked": preview.plan.blocked,
    }
