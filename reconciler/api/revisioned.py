"""The fields of a spec that belong to its revisions, derived from the models.

A field has the marker `REVISIONED` beside its type. Rollback, `rollout undo` and the history page all use this module, so
that a new field cannot be missing from one of them. If a field changed the revision but were not restored with it, a
failed rollout would seem to have no earlier revision.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from reconciler.api.vaultservice import Spec

__all__ = ["REVISIONED", "Revisioned", "is_revisioned", "revisioned_fields", "with_revision_of"]

Model = TypeVar("Model", bound=BaseModel)


class Revisioned:
    """Marks a field that is restored with its revision; use the instance REVISIONED."""


REVISIONED: Final = Revisioned()


def is_revisioned(field: FieldInfo) -> bool:
    """Whether this field, with all its sub-fields, belongs to a revision."""
    return any(isinstance(mark, Revisioned) for mark in field.metadata)


def revisioned_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """The dotted document names of the fields that belong to a revision, such as `ports.container`."""
    return tuple(_names(model))


def with_revision_of(good: Spec, present: Spec) -> Spec:
    """`present` with the revisioned fields of `good`; the number of replicas and their handling stay."""
    return _merged(good, present)


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        document_name = field.alias or name
        if is_revisioned(field):
            yield document_name
        elif nested := _model_of(field):
            yield from (f"{document_name}.{below}" for below in _names(nested))


def _merged(good: Model, present: Model) -> Model:
    update: dict[str, Any] = {}
    for name, field in type(present).model_fields.items():
        if is_revisioned(field):
            update[name] = getattr(good, name)
        elif _model_of(field):
            update[name] = _merged(getattr(good, name), getattr(present, name))
    return present.model_copy(update=update)


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model that a field always holds. Optional models hold no revisioned field; a test checks this."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
