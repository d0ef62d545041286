"""The differences between the observed and the desired state, and the operations of the next pass.

Only VaultServices are compared with containers; of another kind, the spec is compared with the stored one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.app.revisions import differences
from reconciler.store.base import readable

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.api.resource import Resource
    from reconciler.core.plan.preview import Preview
    from reconciler.store.base import Objects

__all__ = ["SpecDifference", "difference_document", "differs", "ref_of", "spec_difference"]


@dataclass(frozen=True)
class SpecDifference:
    """The dotted names of the fields of a spec that differ from the stored object; `is_new`: there is none."""

    ref: Ref
    fields: tuple[str, ...]
    is_new: bool


def spec_difference(objects: Objects, resource: Resource, base: Path) -> SpecDifference:
    """Compare a resource with the stored one; `base` is where its relative files are."""
    stored = readable(objects.of(resource.of_kind), resource.name)
    if stored is None:
        return SpecDifference(resource.ref, (), is_new=True)
    fields = differences(*(each.spec.to_document() for each in (stored.resource, resource.located(base))))
    return SpecDifference(resource.ref, tuple(fields), is_new=False)


def ref_of(found: Preview | SpecDifference) -> Ref:
    """The object that was compared."""
    return found.ref if isinstance(found, SpecDifference) else Ref(VAULT_SERVICE, found.stack.name)


def differs(found: Preview | SpecDifference) -> bool:
    """Whether there are differences or operations."""
    if isinstance(found, SpecDifference):
        return found.is_new or bool(found.fields)
    return bool(found.differences or found.plan.operations or found.plan.blocked)


def difference_document(found: Preview | SpecDifference) -> dict[str, Any]:
    """The same for programs."""
    if isinstance(found, SpecDifference):
        return {
            "kind": found.ref.kind.name,
            "name": found.ref.name,
            "new": found.is_new,
            "fields": [*found.fields],
        }
    return {
        "kind": VAULT_SERVICE.name,
        "name": found.stack.name,
        "differences": [
            {"kind": str(each.kind), "subject": each.subject, "text": each.text} for each in found.differences
        ],
        "operations": [
            {"kind": each.kind, "cause": each.cause.value, "text": each.sentence, "detail": each.detail}
            for each in found.plan.operations
        ],
        "waiting": list(found.plan.waiting),
        "blocked": found.plan.blocked,
    }
