"""The secrets that this process must redact, of each service, collected when its stack was built.

One object shared by all code that stores or prints text; `core/redaction.py` does the redaction.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from reconciler.core.redaction import longest_first, spellings, without

REMEMBERED: Final = 1000
"""Values kept for each service: running containers may still log a former secret."""


class Secrets:
    """The secrets of each service that this process has read. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, tuple[str, ...]] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._hidden: dict[str, tuple[str, ...]] = {}
        self._all: tuple[str, ...] = ()

    def learn(self, service: str, values: Iterable[str], names: Iterable[str] = ()) -> None:
        """Add secrets of that service to the known ones.

        A value that is part of one of its `names` stays readable: all output about the service has them, and a mask in
        their place would reveal the value.
        """
        with self._lock:
            known, named = self._values.get(service, ()), self._names.get(service, frozenset())
            present = dict.fromkeys(values)
            after = tuple(dict.fromkeys((*known, *present)))
            if len(after) > REMEMBERED:
                # What is in use was perhaps learned first, and must not be the first to be forgotten.
                after = (*(value for value in after if value not in present), *present)[-REMEMBERED:]
            public = named | frozenset(names)
            if after == known and public == named:
                return
            self._values[service], self._names[service] = after, public
            secret = [value for value in after if not any(value in name for name in public)]
            self._hidden[service] = longest_first(each for value in secret for each in spellings(value))
            self._all = longest_first(each for hidden in self._hidden.values() for each in hidden)

    def hide(self, text: str, service: str = "") -> str:
        """`text` without the secrets of a service; without those of all services when it is about none."""
        return without(text, self._hidden.get(service, ()) if service else self._all)
