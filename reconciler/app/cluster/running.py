"""Keeps the Pods of the journal as the engine tells of them, from the moment that a client first asks for Pods.

Without such a client it costs nothing: neither the list of containers nor the engine's events are read.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from reconciler.api.errors import PermanentError, TemporaryError, VaultError
from reconciler.api.kinds import VAULT_SERVICE, Ref, ref_labelled
from reconciler.app.cluster.pods import pod_document
from reconciler.core.desired.stack import Role

if TYPE_CHECKING:
    from reconciler.engines.instances import Instance, Instances
    from reconciler.store.base import WritableObjects

__all__ = ["KIND", "Journal", "NotReplaceableError", "Running"]

KIND: Final = "Pod"
PAUSE_SECONDS: Final = 0.05
"""Events of a container come several at once."""
AGAIN_SECONDS: Final = 30.0
"""How soon a change is found of which no event told."""

_log = logging.getLogger(__name__)

Key = tuple[str, str]


class Journal(Protocol):
    """Where documents are kept by kind and name."""

    def names(self, kind: str) -> Collection[str]:
        """The names of all documents of a kind."""

    def record(self, found: Mapping[Key, Mapping[str, Any] | None]) -> object:
        """Record documents as they are now, None for one that is gone."""


class NotReplaceableError(PermanentError):
    """The container is no web replica."""


class Running:
    """What runs of the objects of one state directory. `uid` is that of an object, None when there is none; `hide` removes
    the secrets of an object (the second argument is its `Ref.label`) from a text.
    """

    def __init__(
        self,
        instances: Instances,
        objects: WritableObjects[Any, Any],
        journal: Journal,
        uid: Callable[[Ref], str | None],
        node: str,
        hide: Callable[[str, str], str],
    ) -> None:
        self.instances = instances
        self.node = node
        self._objects = objects
        self._journal = journal
        self._uid = uid
        self.hide = hide
        self._one_at_a_time = threading.Lock()
        self._changed = threading.Event()
        self._has_begun = False
        self._ended = False

    def begin(self) -> None:
        """Follow the engine's events from now on."""
        with self._one_at_a_time:
            if self._has_begun:
                return
            self._has_begun = True
        for run in (self._listen, self._keep_looking):
            threading.Thread(target=run, name=f"pods {run.__name__}", daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._ended = True
        self._changed.set()

    def look(self) -> Sequence[tuple[Ref, Instance]]:
        """Record the containers as they are now, and return them. Raises TemporaryError."""
        with self._one_at_a_time:
            found = self.owned()
            documents: dict[Key, Mapping[str, Any] | None] = dict.fromkeys(
                (KIND, name) for name in self._journal.names(KIND)
            )
            for ref, each in found:
                documents[(KIND, each.name)] = self._document(ref, each)
            self._journal.record(documents)
            return found

    def owned(self) -> list[tuple[Ref, Instance]]:
        """The containers of objects of this state directory; others may use the same engine."""
        found = ((ref_labelled(each.label), each) for each in self.instances.all())
        return [(ref, each) for ref, each in found if ref is not None and self._uid(ref) is not None]

    def one(self, name: str) -> tuple[Ref, Instance] | None:
        """The container of that name as it is now."""
        return next((pair for pair in self.owned() if pair[1].name == name), None)

    def replace(self, name: str, now: datetime) -> bool:
        """Request that a web replica is drained and replaced; False when there is none of that name.

        Raises NotReplaceableError for other containers.
        """
        owned = self.owned()
        pair = next((pair for pair in owned if pair[1].name == name), None)
        if pair is None:
            return False
        ref, instance = pair
        self._require_replaceable(ref, instance)
        self._objects.of(ref.kind).request_eviction(
            ref.name, instance.id, [each.id for _, each in owned], now
        )
        self.look()
        return True

    def require_replaceable(self, name: str) -> bool:
        """Whether there is a container of that name. Raises NotReplaceableError if it is no web replica."""
        pair = self.one(name)
        if pair is not None:
            self._require_replaceable(*pair)
        return pair is not None

    def _require_replaceable(self, ref: Ref, instance: Instance) -> None:
        if ref.kind != VAULT_SERVICE or instance.role is not Role.WEB:
            raise NotReplaceableError(
                f"it is no web replica but the {instance.role.value} {instance.workload} of {ref}, which the controller "
                f"replaces by itself when it has to: use `vaultctl rollout restart {ref.name}` for all of a service"
            )
        stored = self._objects.of(ref.kind).get(ref.name)
        if stored is not None and stored.resource.spec.suspend:
            raise NotReplaceableError(f"{ref} is suspended: `vaultctl resume {ref.name}` first")

    def _document(self, ref: Ref, instance: Instance) -> Mapping[str, Any]:
        evicted = None
        if instance.role is Role.WEB:
            try:
                stored = self._objects.of(ref.kind).get(ref.name)
            except VaultError:
                # What cannot be read is said by its own document.
                stored = None
            evicted = ((stored.evicted if stored else None) or {}).get(instance.id)
        hide = self.hide
        return pod_document(
            instance, ref, self._uid(ref) or "", self.node, evicted, lambda text: hide(text, ref.label)
        )

    def _listen(self) -> None:
        for _ in self.instances.changes():
            if self._ended:
                return
            self._changed.set()

    def _keep_looking(self) -> None:
        while not self._ended:
            self._changed.clear()
            try:
                self.look()
            except TemporaryError as error:
                _log.debug("the Kubernetes API does not see containers: %s", error)
            self._changed.wait(AGAIN_SECONDS)
            threading.Event().wait(PAUSE_SECONDS)
