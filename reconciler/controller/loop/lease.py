"""One writer at a time for each VaultService, over all processes of a machine.

A lease is an flock: the kernel releases it when its holder dies, so a crash leaves no stale lease.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.api.errors import TemporaryError
from reconciler.files import try_lock
from reconciler.store.base import STATE_MODE

RETRY_SECONDS = 0.5


class LeaseTakenError(TemporaryError):
    """Another process holds the lease."""


@contextmanager
def lease(path: Path) -> Iterator[None]:
    """Hold the lease of this file. Raises LeaseTakenError at once when another process has it."""
    try:
        path.parent.mkdir(mode=STATE_MODE, parents=True, exist_ok=True)
        file = try_lock(path)
    except OSError as error:
        raise TemporaryError(f"{path} cannot be locked: {error.strerror}") from error
    if file is None:
        raise LeaseTakenError(f"another process holds {path}", RETRY_SECONDS)
    try:
        yield
    finally:
        os.close(file)


def is_held(path: Path) -> bool:
    """Whether some process holds the lease now."""
    if not path.exists():
        return False
    try:
        with lease(path):
            return False
    except LeaseTakenError:
        return True
