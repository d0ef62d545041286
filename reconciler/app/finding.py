"""Finds objects by kind and name as users write them, and suggests the nearest one for an unknown word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from reconciler.api.errors import VaultError
from reconciler.api.kinds import KINDS, VAULT_SERVICE, Kind, Ref, kind_called
from reconciler.store.base import readable

if TYPE_CHECKING:
    from reconciler.store.base import StoredObject

__all__ = ["NotFoundError", "Shelf", "existing", "existing_service", "kind_and_names", "legible", "refs_of"]


class NotFoundError(VaultError):
    """There is no such object, or no such kind."""


class Shelf(Protocol):
    """Where objects of one kind are looked up: the store itself, or a snapshot of it."""

    def of(self, kind: Kind) -> Shelf:
        """The same for another kind."""

    def names(self) -> tuple[str, ...]:
        """The names of all."""

    def get(self, name: str) -> StoredObject[Any] | None:
        """The one of that name."""

    def kept(self, name: str) -> StoredObject[Any] | None:
        """The one of that name as it was last written."""


def kind_and_names(objects: Shelf, words: Sequence[str]) -> tuple[Kind, tuple[str, ...]]:
    """The kind that the first word is a name of, and the other words; VaultService and all words if it is none.

    A VaultService that is called like a kind is meant by its name.
    """
    if words and (kind := kind_called(words[0])) and words[0] not in objects.of(VAULT_SERVICE).names():
        return kind, tuple(words[1:])
    return VAULT_SERVICE, tuple(words)


def refs_of(objects: Shelf, words: Sequence[str]) -> list[Ref]:
    """The objects that NAME..., KIND NAME... or KIND/NAME... mean, each once and in their order; they need not exist.

    Raises NotFoundError for an unknown kind, which lists the known ones.
    """
    kind, names = kind_and_names(objects, words)
    return list(dict.fromkeys(_ref(kind, name) for name in names))


def existing(objects: Shelf, words: Sequence[str]) -> list[StoredObject[Any]]:
    """The stored objects of `refs_of`. Raises NotFoundError that lists the existing ones."""
    return [_stored(objects, ref) for ref in refs_of(objects, words)]


def legible(objects: Shelf, words: Sequence[str]) -> list[StoredObject[Any]]:
    """The same for showing them: one whose file cannot be read as it was last written, with what is wrong."""
    return [_stored(objects, ref, readable) for ref in refs_of(objects, words)]


def existing_service(objects: Shelf, word: str, verb: str) -> StoredObject:
    """The VaultService NAME or KIND/NAME, for a verb that other kinds do not have. Raises NotFoundError."""
    ref = _ref(VAULT_SERVICE, word)
    if ref.kind != VAULT_SERVICE:
        raise NotFoundError(f"{ref} is no VaultService; {verb} is only for those")
    return _stored(objects, ref)


def _ref(kind: Kind, word: str) -> Ref:
    called, slash, name = word.partition("/")
    if not slash:
        return Ref(kind, word)
    found = kind_called(called)
    if found is None:
        from reconciler.api.diagnosis import nearest

        known = [name for each in KINDS.values() for name in (each.singular, *each.short_names)]
        near = nearest(called.lower(), known)
        hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(known)}"
        raise NotFoundError(f"there is no kind {called!r}; {hint}")
    return Ref(found, name)


def _get(shelf: Shelf, name: str) -> StoredObject[Any] | None:
    return shelf.get(name)


def _stored(
    objects: Shelf, ref: Ref, read: Callable[[Shelf, str], StoredObject[Any] | None] = _get
) -> StoredObject[Any]:
    shelf = objects.of(ref.kind)
    there = shelf.names()
    stored = read(shelf, ref.name) if ref.name in there else None
    if stored is None:
        from reconciler.api.diagnosis import nearest

        near = nearest(ref.name, there)
        hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(there) or 'none'}"
        raise NotFoundError(f"there is no {ref.kind.name} {ref.name!r}; {hint}")
    return stored
