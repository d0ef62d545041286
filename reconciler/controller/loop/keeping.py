"""Keeps what a controller has where another one finds it, and takes over what another one has kept.

Both sides may have changed since this controller acted last. A file says what was the same on both sides then: what has
changed on one side only is taken from there. What has changed on both is taken from the Swarm: that was acted on.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from reconciler.api import PermanentError, TemporaryError
from reconciler.engines.kept import Kept
from reconciler.files import replace
from reconciler.store.base import STATE_MODE

__all__ = ["Contents", "Keeping"]


class Contents(Protocol):
    """What is kept, as bytes by labels, and what is told about it. Methods raise VaultError for what the disk refuses."""

    def labels(self) -> Collection[str]:
        """Of all that is here, in the order in which it is taken over."""

    def content(self, label: str) -> bytes | None:
        """What is here under a label; None if nothing is."""

    def check(self, label: str, content: bytes) -> None:
        """Raises PermanentError for what must not be kept."""

    def refused(self, label: str, error: PermanentError) -> None:
        """It cannot be kept as it is."""

    def restore(self, label: str, content: bytes, *, was_here: bool, was_changed: bool) -> None:
        """Put here what was kept: in place of what was here, which may have been changed. Raises VaultError for what is
        none.
        """

    def gone(self, label: str) -> None:
        """Another controller has removed what is here unchanged."""

    def unreadable(self, labels: Collection[str]) -> None:
        """These are kept, but cannot be opened, and nothing is here in their place."""


class Keeping:
    """One sort of contents of a state directory; `path` says what was the same on both sides. Threads may share it."""

    def __init__(self, path: Path, contents: Contents, kept: Kept) -> None:
        self._path = path
        self._contents = contents
        self._kept = kept
        self._same: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def has_begun(self) -> bool:
        """Whether something was taken over or kept with this state directory before."""
        return self._path.exists()

    def take_over(self) -> None:
        """Bring this side to what another controller has acted on. Raises VaultError."""
        with self._lock:
            self._same = self._read()
            kept, here = self._kept.read(), self._contents.labels()
            lost = []
            for label in (*here, *sorted(kept.keys() - set(here))):
                mine = self._contents.content(label)
                if label in kept and kept[label] is None:
                    # What is here is kept in its place; it may be another one than was kept.
                    self._same.pop(label, None)
                    lost += [label] if mine is None else []
                else:
                    self._settle(label, mine, kept.get(label))
            if lost:
                self._contents.unreadable(lost)
            self._write()

    def _settle(self, label: str, here: bytes | None, there: bytes | None) -> None:
        same = self._same.get(label)
        if there is None:
            if here is not None and same is not None and _digest(here) == same:
                self._contents.gone(label)
                self._same.pop(label, None)
            return
        if here is not None and _digest(there) == same:
            return
        if here != there:
            was_changed = here is not None and _digest(here) != same
            self._contents.restore(label, there, was_here=here is not None, was_changed=was_changed)
            if self._contents.content(label) is None:
                # It has no place here, or only a later release understands it: it stays for a controller that does.
                self._same.pop(label, None)
                return
        self._same[label] = _digest(there)

    def keep(self, label: str) -> None:
        """Keep one of them as it is now; does nothing if it is kept so already. Raises TemporaryError."""
        with self._lock:
            self._keep(label)

    def keep_all(self) -> None:
        """Keep all that is here. Raises TemporaryError."""
        with self._lock:
            for label in {**dict.fromkeys(self._contents.labels()), **self._same}:
                self._keep(label)

    def _keep(self, label: str) -> None:
        content = self._contents.content(label)
        digest = _digest(content) if content is not None else None
        if digest == self._same.get(label):
            return
        if content is None or digest is None:
            self._kept.forget(label)
            self._same.pop(label, None)
        else:
            try:
                self._contents.check(label, content)
                self._kept.keep(label, content)
            except PermanentError as error:
                self._contents.refused(label, error)
            # Also one that cannot be kept: it is tried again when it has changed.
            self._same[label] = digest
        self._write()

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            # What is the same on both sides is found again; what differs is taken from the Swarm.
            return {}
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, Mapping) else {}

    def _write(self) -> None:
        try:
            self._path.parent.mkdir(mode=STATE_MODE, parents=True, exist_ok=True)
            replace(self._path, json.dumps(self._same, indent=1).encode())
        except OSError as error:
            raise TemporaryError(f"{self._path} cannot be written: {error.strerror}") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
