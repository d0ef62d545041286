"""Takes part in an election for one state directory: one process at a time, under an identity that outlives it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from reconciler.api import TemporaryError
from reconciler.controller.loop.election import StandbyError
from reconciler.files import try_lock
from reconciler.store.base import STATE_MODE

__all__ = ["StateEntry"]

FILE: Final = "election"
ID_BYTES: Final = 16


class StateEntry:
    """The lock file `election` of a state directory, which holds a random ID. `node` gives the ID and name of this node.

    The node's ID is part of the identity, so that a copy of the directory on another node has another one.
    """

    def __init__(self, state_dir: Path, node: Callable[[], tuple[str, str]]) -> None:
        self._path = state_dir / FILE
        self._node = node
        self._lock: int | None = None

    def enter(self) -> tuple[str, str]:
        """The identity and the name of the node. Raises StandbyError while another process takes part."""
        node, name = self._node()
        if self._lock is None:
            try:
                self._path.parent.mkdir(mode=STATE_MODE, parents=True, exist_ok=True)
                self._lock = try_lock(self._path)
            except OSError as error:
                raise TemporaryError(f"{self._path} cannot be locked: {error.strerror}") from error
            if self._lock is None:
                raise StandbyError(f"another process works on {self._path.parent}")
        return f"{node}/{self._own(self._lock)}", name

    def leave(self) -> None:
        """Another process may take part."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _own(self, descriptor: int) -> str:
        try:
            found = os.pread(descriptor, 2 * ID_BYTES, 0).decode("ascii", "replace")
            if len(found) != 2 * ID_BYTES:
                # The former process may have been killed between the two; then its identity was never shown.
                found = secrets.token_hex(ID_BYTES)
                os.pwrite(descriptor, found.encode(), 0)
                os.fsync(descriptor)
        except OSError as error:
            raise TemporaryError(f"{self._path}: {error.strerror}") from error
        return found
