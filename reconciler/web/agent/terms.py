"""Which controller an agent obeys: none of an earlier term of the lease than it has seen.

A controller that was stopped and goes on does not know of another one until it has looked. What it sends meanwhile must
change nothing, and what it has opened to the engine ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from reconciler import files
from reconciler.api.errors import PermanentError
from reconciler.certificates.errors import PeerError

__all__ = ["TERM_FILE", "Terms"]

TERM_FILE: Final = "term"
DIGITS: Final = 18


class Terms:
    """The latest term that an agent has seen, kept in a file so that it outlives the agent. Any thread may ask.

    Raises PermanentError for a file that says none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = _read(path)
        self.risen: list[Callable[[int], object]] = []
        """Told of a later term, after it is kept."""

    @property
    def latest(self) -> int:
        """The latest term that was seen; 0 before there was one."""
        return self._seen

    def admit(self, term: int) -> None:
        """Obey a controller of this term. Raises PeerError if a later one was seen, or if this one cannot be kept."""
        with self._lock:
            if term < self._seen:
                raise PeerError(
                    f"the controller has term {term} of the lease, and one with term {self._seen} was seen: it must not act"
                )
            if term == self._seen:
                return
            try:
                files.replace(self._path, str(term).encode(), durable=True)
            except OSError as error:
                raise PeerError(
                    f"the term of the controller cannot be kept in {self._path}: {error.strerror}"
                ) from error
            self._seen = term
        for tell in self.risen:
            tell(term)


def _read(path: Path) -> int:
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise PermanentError(f"cannot read {path}: {error.strerror}") from error
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise PermanentError(
            f"{path} is damaged: it says which term of the lease was seen; enrol this agent again, see vaultctl agent token"
        )
    return int(text)
