"""Which objects a request is about: by labels, by fields and by namespace, as kubectl says it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reconciler.api.errors import VaultError
from reconciler.api.kinds import NAMESPACE
from reconciler.api.query.selectors import FieldSelector, LabelSelector

if TYPE_CHECKING:
    from reconciler.store.base import StoredObject

__all__ = ["FIELDS", "Selection", "require_namespace"]

FIELDS: Final = ("metadata.name", "metadata.namespace")
"""What a field selector may name."""
EVERYTHING: Final = LabelSelector()
ANY_FIELDS: Final = FieldSelector()

Item = TypeVar("Item", bound="StoredObject[Any]")


@dataclass(frozen=True, slots=True)
class Selection:
    """Requirements on labels and fields; without any, everything is selected."""

    labels: LabelSelector = EVERYTHING
    fields: FieldSelector = ANY_FIELDS

    @classmethod
    def parse(cls, labels: str | None = None, fields: str | None = None) -> Selection:
        """From the texts of `--selector` and `--field-selector`. Raises QueryError."""
        return cls(LabelSelector.parse(labels or ""), FieldSelector.parse(fields or "", FIELDS))

    @property
    def is_everything(self) -> bool:
        """Whether there is no requirement."""
        return not self.labels.requirements and not self.fields.terms

    def selects(self, stored: StoredObject[Any]) -> bool:
        """Whether an object meets all requirements."""
        fields = {"metadata.name": stored.name, "metadata.namespace": NAMESPACE}
        return self.fields.matches(fields) and self.labels.matches(stored.resource.metadata.labels)

    def of(self, objects: Iterable[Item]) -> list[Item]:
        """The objects that are selected, in their order."""
        return [each for each in objects if self.selects(each)]


def require_namespace(name: str | None) -> None:
    """Raises VaultError for a namespace that does not exist."""
    if name not in (None, "", NAMESPACE):
        raise VaultError(f"there is no namespace {name!r}; all objects are in {NAMESPACE!r}, so leave it out")
