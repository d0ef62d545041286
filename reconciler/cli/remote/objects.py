"""The objects of one kind as the API has them: what verbs ask of a state directory, in requests."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NoReturn

from reconciler.api.errors import PermanentError
from reconciler.api.kinds import API_VERSION, VAULT_SERVICE, Kind
from reconciler.api.reasons import Reason
from reconciler.api.resource import Resource
from reconciler.app.cluster.documents import ORIGIN
from reconciler.app.cluster.written import read
from reconciler.cli.remote.connection import MANAGER, ConflictError, Connection, MissingError, path_of
from reconciler.store.base import NO_MANIFEST, Deletion, Origin, StoredObject

__all__ = ["RemoteObjects"]

FRESH_SECONDS: Final = 0.5
"""How long a document is used again: a verb that waits looks ten times a second."""
TRIES: Final = 5
KEPT: Final = ("resourceVersion", "uid", "finalizers", "ownerReferences")

Document = Mapping[str, Any]


class RemoteObjects:
    """Implements `store.base.Objects`, as far as verbs need it that work over the API."""

    def __init__(
        self,
        connection: Connection,
        kind: Kind = VAULT_SERVICE,
        clock: Callable[[], float] = time.monotonic,
        others: dict[str, RemoteObjects] | None = None,
    ) -> None:
        self._connection = connection
        self._kind = kind
        self._clock = clock
        self._others = {} if others is None else others
        self._others[kind.name] = self
        self._listed_at = float("-inf")
        self._read: dict[str, tuple[float, Document | None]] = {}
        self._applied: dict[str, Origin] = {}

    def of(self, kind: Kind) -> RemoteObjects:
        """The objects of another kind of the same controller."""
        return self._others.get(kind.name) or RemoteObjects(self._connection, kind, self._clock, self._others)

    def forget(self) -> None:
        """Ask again for everything."""
        for each in self._others.values():
            # Another thread may go through the former one.
            each._read = {}
            each._listed_at = float("-inf")

    def names(self) -> tuple[str, ...]:
        """The names of all objects, sorted."""
        read = self._read
        if self._clock() - self._listed_at > FRESH_SECONDS:
            items = self._connection.items(path_of(self._kind))
            now = self._clock()
            documents = [self._whole(each) for each in items]
            self._read = read = {each["metadata"]["name"]: (now, each) for each in documents}
            self._listed_at = now
        return tuple(sorted(name for name, (_, document) in read.copy().items() if document is not None))

    def get(self, name: str) -> StoredObject[Any] | None:
        """The object of that name."""
        document = self._document(name)
        return None if document is None else self._stored(document)

    def kept(self, name: str) -> StoredObject[Any] | None:
        """The same: the controller keeps copies."""
        return self.get(name)

    def status(self, name: str) -> Any:
        """The status of the document that was read last."""
        document = self._document(name)
        model = self._kind.load_model().status_model()
        return model.model_validate_json(json.dumps((document or {}).get("status") or {}))

    def since(self, name: str) -> datetime | None:
        """When the object was created."""
        document = self._document(name)
        created = (document or {}).get("metadata", {}).get("creationTimestamp")
        return datetime.fromisoformat(created) if isinstance(created, str) else None

    def apply(
        self, resource: Resource, origin: Origin, *, requested_at: str | None = None
    ) -> StoredObject[Any]:
        """Write a spec with its labels and annotations; the object is created if it is not there. Raises VaultError, and
        ConflictError if it is no longer the one that `origin` was read with.
        """
        answer = self._put(resource, origin.commit)
        self._applied[resource.name] = origin
        self._read[resource.name] = (self._clock(), answer)
        self._listed_at = float("-inf")
        return self._stored(answer)

    def check(self, resource: Resource) -> None:
        """Have the controller check what `apply` would write. Raises VaultError."""
        self._put(resource, "", dryRun="All")

    def _put(self, resource: Resource, known: str, **query: str) -> Document:
        for _ in range(TRIES - 1):
            try:
                return self._put_once(resource, known, query)
            except ConflictError:
                # A pass has written the status meanwhile; of what users want, `known` tells.
                continue
        return self._put_once(resource, known, query)

    def _put_once(self, resource: Resource, known: str, query: Mapping[str, str]) -> Document:
        name = resource.name
        self._read.pop(name, None)
        document = self._document(name)
        if known and (document is None or _wanted(document) != known):
            raise PermanentError(f"{resource.ref.label} was changed meanwhile; run this again")
        sent = {"apiVersion": API_VERSION, "kind": self._kind.name, "spec": _spec(resource, document is None)}
        mine = {
            "name": name,
            "labels": dict(resource.metadata.labels),
            "annotations": dict(resource.metadata.annotations),
        }
        if document is None:
            return self._write("POST", path_of(self._kind), {**sent, "metadata": mine}, query)
        # What only clients of the API set stays.
        kept = {key: value for key, value in document["metadata"].items() if key in KEPT}
        return self._write("PUT", path_of(self._kind, name), {**sent, "metadata": {**mine, **kept}}, query)

    def request_deletion(self, name: str, volumes: bool, now: datetime) -> None:
        """Request the deletion of an object. Raises PermanentError for its volumes, which clients of the API keep."""
        if volumes:
            raise PermanentError(
                f"the API of {self._connection.server} keeps volumes: run vaultctl delete --volumes on that machine"
            )
        try:
            self._connection.ask("DELETE", path_of(self._kind, name))
        except MissingError:
            return
        finally:
            self._read.pop(name, None)
            self._listed_at = float("-inf")

    def __getattr__(self, name: str) -> NoReturn:
        """Raises PermanentError: the rest of the interface is the controller's."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise PermanentError(f"{name} is only possible on the machine of {self._connection.server}")

    def _write(self, method: str, path: str, document: Document, query: Mapping[str, str]) -> Document:
        options = {"fieldManager": MANAGER, "fieldValidation": "Strict", **query}
        return self._whole(self._connection.ask(method, path, document, **options))

    def _document(self, name: str) -> Document | None:
        read_at, document = self._read.get(name, (float("-inf"), None))
        if self._clock() - read_at > FRESH_SECONDS:
            try:
                document = self._whole(self._connection.ask("GET", path_of(self._kind, name)))
            except MissingError:
                document = None
            self._read[name] = (self._clock(), document)
        return document

    def _whole(self, document: Any) -> Document:
        """A document of the kind; items of lists may leave out what they are."""
        if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
            raise PermanentError(f"{self._connection.server} answers no object of {self._kind.plural}")
        return {"apiVersion": API_VERSION, "kind": self._kind.name, **document}

    def _stored(self, document: Document) -> StoredObject[Any]:
        # "Ignore": a newer controller may know more fields.
        written = read(document, self._kind, "Ignore")
        metadata = document["metadata"]
        resource = written.resource
        numbered = resource.metadata.model_copy(update={"generation": metadata.get("generation", 1)})
        resource = resource.model_copy(update={"metadata": numbered})
        since = metadata.get("deletionTimestamp")
        deletion = Deletion(False, datetime.fromisoformat(since)) if since else None
        api = replace(written.api, managed_fields=tuple(metadata.get("managedFields") or ()))
        # The digest has `apply` notice a change of another user.
        place = _place_of(metadata) or self._connection.server
        # Of what this process has applied it knows the manifest, which may be one of this machine.
        known = self._applied.get(metadata["name"]) or Origin("apply", place, NO_MANIFEST, 1)
        origin = replace(known, commit=_wanted(document))
        return StoredObject(resource, origin, deletion, "", Reason.INVALID_MANIFEST, None, api)


def _place_of(metadata: Mapping[str, Any]) -> str:
    """Where an object comes from, if it is not written by command or over the API."""
    return str((metadata.get("annotations") or {}).get(ORIGIN, ""))


def _wanted(document: Document) -> str:
    """A digest of what users want of an object, which its status does not change."""
    metadata = document["metadata"]
    wanted = [metadata.get("uid"), metadata.get("labels"), metadata.get("annotations"), document.get("spec")]
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def _spec(resource: Resource, is_new: bool) -> Any:
    """The spec. That of a new object has no defaults: fields that are written belong to their writer."""
    spec = resource.model_dump(mode="json", by_alias=True, include={"spec"}, exclude_defaults=is_new)
    return spec.get("spec", {})
