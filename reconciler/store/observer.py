"""Records what the objects of a state directory have become, whichever process wrote them.

The numbers of `Versions` are given to what is seen, not to what is done: a source, `vaultctl`, a pass and an earlier
release need not take part, and what happened while no observer ran is found at its start. A look that comes late joins
changes; it loses none.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.api import TemporaryError, VaultError
from reconciler.api.kinds import KINDS, Kind, Ref
from reconciler.store import files
from reconciler.store.base import BELL, STATE_MODE, STATUS_BELL, StoredObject
from reconciler.store.layout import OBJECT, STATUS, objects_of
from reconciler.store.versions import Change, Key, Versions

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.store.ears import Ears
    from reconciler.store.objects import ObjectStore

__all__ = ["Observer", "Render"]

Render = Callable[[StoredObject[Any], Any, "datetime"], Mapping[str, Any]]
"""The document of an object, its status and the time of its creation."""

LOOK_SECONDS: Final = 30.0
"""How soon a change is found of which no bell told."""

Signature = tuple[tuple[int, int, int] | None, ...]

log = logging.getLogger(__name__)


class Observer:
    """Looks at the objects of one state directory, from any thread."""

    def __init__(self, state_dir: Path, objects: ObjectStore, versions: Versions, render: Render) -> None:
        self._state = state_dir
        self._objects = objects
        self._versions = versions
        self._render = render
        self._seen: dict[Ref, Signature] = {}
        self._problems: dict[Ref, str] = {}
        self._lock = threading.Lock()

    def look(self, refs: Sequence[Ref]) -> Sequence[Change]:
        """Record these objects as they are now, and return what has changed. Raises TemporaryError."""
        with self._lock:
            return self._look(refs)

    def look_everywhere(self, kinds: Sequence[Kind] | None = None) -> Sequence[Change]:
        """Record all objects, or those of some kinds. Raises TemporaryError."""
        with self._lock:
            found = []
            for kind in KINDS.values() if kinds is None else kinds:
                names = self._versions.names(kind.name).union(self._objects.of(kind).names())
                found += [Ref(kind, name) for name in sorted(names)]
            return self._look(found)

    def keep_looking(self, ears: Ears) -> None:
        """Look whenever an object or a status has changed, until `ears` end."""
        from inotify_simple import flags

        heard = flags.CREATE | flags.DELETE | flags.ATTRIB | flags.CLOSE_WRITE
        kinds: dict[int | None, Kind] = {}
        for kind in KINDS.values():
            directory = objects_of(self._state, kind)
            directory.mkdir(mode=STATE_MODE, parents=True, exist_ok=True)
            kinds[ears.watch(directory, heard)] = kind
        # Writes before the watch existed caused no event.
        self._try(self.look_everywhere)
        looked = time.monotonic()
        while not ears.has_ended:
            events = ears.read(max(0.0, looked + LOOK_SECONDS - time.monotonic()))
            told = [(kinds[each.wd], each.name) for each in events or () if each.wd in kinds]
            named = {Ref(kind, name) for kind, name in told if not name.startswith(".")}
            rung = {kind for kind, name in told if name in (BELL, STATUS_BELL)}
            if named:
                self._try(partial(self.look, sorted(named, key=str)))
            elif rung:
                # A former release rings, and names nothing.
                self._try(partial(self.look_everywhere, tuple(rung)))
            is_incomplete = events is None or any(each.mask & flags.Q_OVERFLOW for each in events)
            if is_incomplete or time.monotonic() - looked >= LOOK_SECONDS:
                self._try(self.look_everywhere)
                looked = time.monotonic()

    def _try(self, look: Callable[[], object]) -> None:
        try:
            look()
        except TemporaryError as error:
            log.warning("the Kubernetes API does not see changes: %s", error)

    def _look(self, refs: Sequence[Ref]) -> Sequence[Change]:
        found: dict[Key, Mapping[str, Any] | None] = {}
        signatures: dict[Ref, Signature] = {}
        for ref in refs:
            signature = self._signature(ref)
            if signature == self._seen.get(ref):
                continue
            try:
                found[(ref.kind.name, ref.name)] = self._read(ref)
            except VaultError as error:
                # What was seen last stays what is shown, as it stays what runs.
                if self._problems.get(ref) != str(error):
                    log.warning("%s", error)
                self._problems[ref] = str(error)
            else:
                self._problems.pop(ref, None)
                signatures[ref] = signature
        changes = self._versions.record(found)
        now = time.time_ns()
        for ref, signature in signatures.items():
            # One that has just been written may be written again within the same tick of the file system's clock.
            latest = max((each[1] for each in signature if each), default=now)
            # One that is gone is not remembered: there may be any number of them.
            if abs(now - latest) > files.SETTLED_NS:
                self._seen[ref] = signature
            else:
                self._seen.pop(ref, None)
        return changes

    def _read(self, ref: Ref) -> Mapping[str, Any] | None:
        objects = self._objects.of(ref.kind)
        stored = objects.get(ref.name)
        since = objects.since(ref.name)
        if stored is None or since is None:
            return None
        return self._render(stored, objects.status(ref.name), since)

    def _signature(self, ref: Ref) -> Signature:
        directory = objects_of(self._state, ref.kind) / ref.name
        return tuple(map(_signature_of, (directory / OBJECT, directory / STATUS)))


def _signature_of(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
