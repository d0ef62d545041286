"""Finds VaultServices by name, and suggests the nearest one for an unknown name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from reconciler.api.errors import VaultError

if TYPE_CHECKING:
    from reconciler.store.base import StoredObject

__all__ = ["NotFoundError", "Shelf", "existing"]


class NotFoundError(VaultError):
    """There is no such object."""


class Shelf(Protocol):
    """Where objects are looked up: the store itself, or a snapshot of it."""

    def names(self) -> tuple[str, ...]:
        """The names of all."""

    def get(self, name: str) -> StoredObject | None:
        """The one of that name."""


def existing(objects: Shelf, names: Sequence[str]) -> list[StoredObject]:
    """The objects of these names, each once and in their order; `vaultservice/NAME` is understood too.

    Raises NotFoundError that lists the existing ones.
    """
    found = []
    for name in dict.fromkeys(name.rpartition("/")[2] for name in names):
        there = objects.names()
        stored = objects.get(name) if name in there else None
        if stored is None:
            from reconciler.api.diagnosis import nearest

            near = nearest(name, there)
            hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(there) or 'none'}"
            raise NotFoundError(f"there is no VaultService {name!r}; {hint}")
        found.append(stored)
    return found
