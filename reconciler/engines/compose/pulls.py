"""Pulls images in the background: a pass that waited for a pull would heal nothing meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.api.errors import PermanentError, VaultError
from reconciler.core.assess.observation import Pull

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two tries to pull an image: doubled after each failure."""


@dataclass(slots=True)
class _Try:
    """One image's tries; `error` is that of the last finished one, `due` when the next may start."""

    running: bool = True
    error: VaultError | None = None
    failures: int = 0
    due: float = 0.0


class Pulls:
    """The pulls of one engine; `pull` fetches one image, `clock` gives seconds that only grow. Threads may share it."""

    def __init__(self, pull: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._pull = pull
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[str, _Try] = {}

    def ask(self, image: str) -> None:
        """Begin to fetch an image, unless that is under way or has to wait. Raises a PermanentError of the last try."""
        with self._lock:
            last = self._tries.get(image)
            if last is not None and (last.running or self._clock() < last.due):
                if not last.running and isinstance(last.error, PermanentError):
                    raise last.error
                return
            if last is None:
                self._tries[image] = _Try()
            else:
                last.running = True
        # Not an executor's thread, since Python waits for those at exit.
        threading.Thread(target=self._try, args=(image,), name=f"pull {image}", daemon=True).start()

    def of(self, images: Iterable[str]) -> Mapping[str, Pull]:
        """Those of these images that were asked for."""
        with self._lock:
            return {image: self._seen(known) for image in images if (known := self._tries.get(image))}

    def _seen(self, known: _Try) -> Pull:
        return Pull(
            running=known.running,
            error=str(known.error or ""),
            lasting=isinstance(known.error, PermanentError),
            again=0.0 if known.running else max(0.0, known.due - self._clock()),
        )

    def _try(self, image: str) -> None:
        failure: VaultError | None = None
        try:
            self._pull(image)
        except VaultError as error:
            failure = error
        finally:
            with self._lock:
                known = self._tries.pop(image)
                if failure is not None:
                    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(known.failures, 16))
                    self._tries[image] = _Try(False, failure, known.failures + 1, self._clock() + pause)
