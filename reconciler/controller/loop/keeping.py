"""Keeps the objects of a controller where another one finds them, and takes over what another one has kept.

Both sides may have changed since this controller acted last. `kept.json` says what was the same on both sides then: what
has changed on one side only is taken from there. What has changed on both is taken from the Swarm: that was acted on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from reconciler.api import PermanentError, TemporaryError
from reconciler.api.kinds import Kind, Ref, ref_labelled
from reconciler.api.reasons import Reason
from reconciler.engines.kept import KeptObjects
from reconciler.files import replace
from reconciler.store.base import Records

__all__ = ["Contents", "Keeping"]

FILE: Final = "kept.json"

_log = logging.getLogger(__name__)


class Contents(Protocol):
    """The objects of one kind as bytes."""

    def names(self) -> tuple[str, ...]:
        """The names of all objects, sorted."""

    def content(self, name: str) -> bytes | None:
        """The object of that name as it is stored; None if there is none."""

    def restore(self, name: str, content: bytes) -> None:
        """Store an object as it was stored elsewhere. Raises VaultError for what is none."""

    def orphan(self, name: str) -> None:
        """Remove an object, and nothing that runs of it."""


class Keeping:
    """The objects of one state directory. `hide` removes the secrets of an object from a text about it; `records` are told
    what could not be kept or is missing.
    """

    def __init__(
        self,
        state_dir: Path,
        kinds: Sequence[Kind],
        contents: Callable[[Kind], Contents],
        kept: KeptObjects,
        records: Callable[[Kind], Records],
        hide: Callable[[str, str], str],
        now: Callable[[], datetime],
    ) -> None:
        self._path = state_dir / FILE
        self._kinds = kinds
        self._contents = contents
        self._kept = kept
        self._records = records
        self._hide = hide
        self._now = now
        self._same: dict[str, str] = {}
        self._lock = threading.Lock()

    def take_over(self) -> None:
        """Bring this controller to what another one has acted on. Raises VaultError."""
        with self._lock:
            self._same = self._read()
            there = {
                ref: content for label, content in self._kept.read().items() if (ref := ref_labelled(label))
            }
            for kind in self._kinds:
                mine = self._contents(kind)
                refs = {Ref(kind, name) for name in mine.names()} | {ref for ref in there if ref.kind == kind}
                for ref in sorted(refs, key=lambda ref: ref.name):
                    self._settle(ref, mine, mine.content(ref.name), there.get(ref))
            self._write()

    def _settle(self, ref: Ref, mine: Contents, here: bytes | None, there: bytes | None) -> None:
        label, same = ref.label, self._same.get(ref.label)
        if there is None:
            if here is not None and same is not None and _digest(here) == same:
                _log.info("%s was deleted by another controller", label)
                mine.orphan(ref.name)
                self._same.pop(label, None)
            return
        if here is not None and (here == there or _digest(there) == same):
            return
        mine.restore(ref.name, there)
        self._same[label] = _digest(there)
        if here is None:
            self._tell(ref, Reason.HISTORY_MISSING, "its events and revisions before are on another node")
        elif _digest(here) != same:
            self._tell(
                ref, Reason.HISTORY_MISSING, "what was stored here is replaced by what another controller did"
            )

    def keep(self, ref: Ref) -> None:
        """Keep an object as it is now; does nothing if it is kept so already. Raises TemporaryError."""
        with self._lock:
            self._keep(ref)

    def _keep(self, ref: Ref) -> None:
        content = self._contents(ref.kind).content(ref.name)
        digest = _digest(content) if content is not None else None
        if digest == self._same.get(ref.label):
            return
        if content is None or digest is None:
            self._kept.forget(ref.label)
            self._same.pop(ref.label, None)
        else:
            text = content.decode()
            try:
                if self._hide(text, ref.label) != text:
                    raise PermanentError(
                        "its manifest repeats a value of its settings files: a config is no secret"
                    )
                self._kept.keep(ref.label, content)
            except PermanentError as error:
                self._tell(ref, Reason.OBJECT_NOT_KEPT, str(error))
            # Also one that cannot be kept: it is tried again when it has changed.
            self._same[ref.label] = digest
        self._write()

    def _tell(self, ref: Ref, reason: Reason, message: str) -> None:
        _log.warning("%s: %s: %s", ref.label, reason, message)
        self._records(ref.kind).record_event(ref.name, "Warning", reason, message, self._now())

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            # What is the same on both sides is found again; what differs is taken from the Swarm.
            return {}
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, Mapping) else {}

    def _write(self) -> None:
        try:
            replace(self._path, json.dumps(self._same, indent=1).encode())
        except OSError as error:
            raise TemporaryError(f"{self._path} cannot be written: {error.strerror}") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
