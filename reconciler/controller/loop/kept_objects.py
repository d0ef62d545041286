"""Objects as what is kept of a controller: in clear, so that one which repeats a secret is not kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final, Protocol

from reconciler.api import PermanentError
from reconciler.api.kinds import Kind, Ref, ref_labelled
from reconciler.api.reasons import Reason
from reconciler.store.base import Records

__all__ = ["FILE", "KeptObjects", "StoredBytes"]

FILE: Final = "kept.json"
"""What was the same on both sides, in the state directory."""

_log = logging.getLogger(__name__)


class StoredBytes(Protocol):
    """The objects of one kind as bytes."""

    def names(self) -> tuple[str, ...]:
        """The names of all objects, sorted."""

    def content(self, name: str) -> bytes | None:
        """The object of that name as it is stored; None if there is none."""

    def restore(self, name: str, content: bytes) -> None:
        """Store an object as it was stored elsewhere. Raises VaultError for what is none."""

    def understood(self, name: str, content: bytes) -> object:
        """The object that this content is. Raises PermanentError for what is none."""

    def orphan(self, name: str) -> None:
        """Remove an object, and nothing that runs of it."""


class KeptObjects:
    """Implements Contents. `hide` removes the secrets of an object from a text about it; `records` are told what could not
    be kept or is missing.
    """

    def __init__(
        self,
        kinds: Sequence[Kind],
        stored: Callable[[Kind], StoredBytes],
        records: Callable[[Kind], Records],
        hide: Callable[[str, str], str],
        now: Callable[[], datetime],
    ) -> None:
        self._kinds = kinds
        self._stored = stored
        self._records = records
        self._hide = hide
        self._now = now

    def labels(self) -> Collection[str]:
        """See Contents.labels."""
        return [Ref(kind, name).label for kind in self._kinds for name in self._stored(kind).names()]

    def content(self, label: str) -> bytes | None:
        """See Contents.content."""
        ref = ref_labelled(label)
        return self._stored(ref.kind).content(ref.name) if ref else None

    def check(self, label: str, content: bytes) -> None:
        """See Contents.check. What is damaged here must not replace what is whole there: no controller could take over."""
        if ref := ref_labelled(label):
            self._stored(ref.kind).understood(ref.name, content)
        text = content.decode()
        if self._hide(text, label) != text:
            raise PermanentError("its manifest repeats a value of its settings files: a config is no secret")

    def refused(self, label: str, error: PermanentError) -> None:
        """See Contents.refused."""
        self._tell(label, Reason.OBJECT_NOT_KEPT, str(error))

    def restore(self, label: str, content: bytes, *, was_here: bool, was_changed: bool) -> None:
        """See Contents.restore."""
        ref = ref_labelled(label)
        if ref is None:
            # Of a kind that a later release knows.
            return
        self._stored(ref.kind).restore(ref.name, content)
        if not was_here:
            self._tell(label, Reason.HISTORY_MISSING, "its events and revisions before are on another node")
        elif was_changed:
            self._tell(
                label,
                Reason.HISTORY_MISSING,
                "what was stored here is replaced by what another controller did",
            )

    def gone(self, label: str) -> None:
        """See Contents.gone."""
        if ref := ref_labelled(label):
            _log.info("%s was deleted by another controller", label)
            self._stored(ref.kind).orphan(ref.name)

    def unreadable(self, labels: Collection[str]) -> None:
        """See Contents.unreadable: there is none that is not an error."""

    def _tell(self, label: str, reason: Reason, message: str) -> None:
        ref = ref_labelled(label)
        assert ref is not None, "only objects are told of"
        _log.warning("%s: %s: %s", label, reason, message)
        self._records(ref.kind).record_event(ref.name, "Warning", reason, message, self._now())
