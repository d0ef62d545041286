"""Where the documents of a resource come from: the journal of the store, or a fixed list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from reconciler.store.versions import Change, Document, Versions
from reconciler.web.kube.served import Served

__all__ = ["Collection", "Fixed", "Measured", "Refreshed", "Stored"]


class Collection(Protocol):
    """The documents of one resource, and their changes."""

    served: Served

    def document(self, name: str) -> Document | None:
        """The one of that name."""

    def documents(self) -> tuple[int, Sequence[Document]]:
        """All of them by name, and the number of the last change that they include."""

    def since(self, number: int, limit: int) -> tuple[int, Sequence[Change]] | None:
        """Changes after that number, and the number up to which these are all; None if that cannot be said."""


class Stored:
    """The objects of a kind."""

    def __init__(self, served: Served, versions: Versions) -> None:
        self.served = served
        self._versions = versions

    def document(self, name: str) -> Document | None:
        """The one of that name."""
        return self._versions.document(self.served.kind, name)

    def documents(self) -> tuple[int, Sequence[Document]]:
        """All of them."""
        return self._versions.documents(self.served.kind)

    def since(self, number: int, limit: int) -> tuple[int, Sequence[Change]] | None:
        """Changes of this kind."""
        changes = self._versions.since(number, limit)
        if changes is None:
            return None
        last = changes[-1].number if changes else number
        return last, [each for each in changes if each.document.kind == self.served.kind]


class Refreshed(Stored):
    """Documents of which no bell tells: `look` records them as they are now. `begin` is called before each answer."""

    def __init__(
        self,
        served: Served,
        versions: Versions,
        look: Callable[[], object],
        begin: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(served, versions)
        self._look = look
        self._begin = begin

    def document(self, name: str) -> Document | None:
        """The one of that name."""
        self._begin()
        self._look()
        return super().document(name)

    def documents(self) -> tuple[int, Sequence[Document]]:
        """All of them."""
        self._begin()
        self._look()
        return super().documents()

    def since(self, number: int, limit: int) -> tuple[int, Sequence[Change]] | None:
        """Changes of this kind."""
        self._begin()
        return super().since(number, limit)


class Measured:
    """Documents that are made for each answer: their number is that of the journal, and they are not watched."""

    def __init__(
        self, served: Served, versions: Versions, measure: Callable[[], Mapping[str, Mapping[str, Any]]]
    ) -> None:
        self.served = served
        self._versions = versions
        self._measure = measure

    def document(self, name: str) -> Document | None:
        """The one of that name."""
        found = self._measure().get(name)
        return None if found is None else _written(self.served, found)

    def documents(self) -> tuple[int, Sequence[Document]]:
        """All of them."""
        found = self._measure()
        return self._versions.number, [_written(self.served, found[name]) for name in sorted(found)]

    def since(self, number: int, limit: int) -> tuple[int, Sequence[Change]] | None:
        """None is ever told of."""
        return number, ()


class Fixed:
    """Documents that never change. They have the number 1."""

    def __init__(self, served: Served, documents: Iterable[Mapping[str, Any]], versions: Versions) -> None:
        self.served = served
        self._versions = versions
        self._documents = {each.name: each for each in (_fixed(served, one) for one in documents)}

    def document(self, name: str) -> Document | None:
        """The one of that name."""
        return self._documents.get(name)

    def documents(self) -> tuple[int, Sequence[Document]]:
        """All of them."""
        return self._versions.number, tuple(self._documents[name] for name in sorted(self._documents))

    def since(self, number: int, limit: int) -> tuple[int, Sequence[Change]] | None:
        """None ever changes."""
        return None if self._versions.since(number, 1) is None else (number, ())


def _fixed(served: Served, document: Mapping[str, Any]) -> Document:
    metadata = {**document["metadata"], "resourceVersion": "1"}
    return _written(served, {**document, "metadata": metadata})


def _written(served: Served, document: Mapping[str, Any]) -> Document:
    whole = {"apiVersion": served.api_version, "kind": served.kind, **document}
    metadata = document["metadata"]
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
    return Document(served.kind, metadata["name"], 1, text, metadata.get("labels", {}))
