"""A value that costs much to find, for clients that may all ask at once: an engine or a registry is asked once for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from reconciler.api.errors import TemporaryError, VaultError

__all__ = ["Shared"]

PATIENCE_SECONDS: Final = 20.0
"""Less than a request may take: a client that is told to ask again gets what was found meanwhile."""

Value = TypeVar("Value")


class Shared(Generic[Value]):
    """What `find` returns, or the VaultError that it raises: found by one thread at a time, and used again for `fresh`
    seconds.
    """

    def __init__(
        self,
        find: Callable[[], Value],
        fresh: float,
        *,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._fresh = fresh
        self._patience = patience
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._found: tuple[float, Value | VaultError] | None = None

    def get(self) -> Value:
        """The value. Raises what `find` raises, and TemporaryError if another thread has not found it in time."""
        if not self._one_at_a_time.acquire(timeout=self._patience):
            raise TemporaryError("it is still being looked at for others; ask again")
        try:
            if self._found is None or self._clock() - self._found[0] >= self._fresh:
                looked = self._look()
                # From its end: what takes longer than it is fresh would be looked for without end.
                self._found = (self._clock(), looked)
            found = self._found[1]
            if isinstance(found, VaultError):
                raise found.with_traceback(None)
            return found
        finally:
            self._one_at_a_time.release()

    def _look(self) -> Value | VaultError:
        try:
            return self._find()
        except VaultError as error:
            return error
