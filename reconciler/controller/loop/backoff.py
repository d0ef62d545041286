"""Delay before the next try, per key: exponential, capped, with jitter so that keys do not retry at the same time."""

from __future__ import annotations

import random
import threading
from typing import Final

BASE_SECONDS: Final = 0.25
CAP_SECONDS: Final = 60.0
JITTER: Final = 0.2


class Backoff:
    """Counts failures of keys. Threads may share it."""

    def __init__(
        self,
        source: random.Random,
        base: float = BASE_SECONDS,
        cap: float = CAP_SECONDS,
        jitter: float = JITTER,
    ) -> None:
        self._random = source
        self._base, self._cap, self._jitter = base, cap, jitter
        self._failures: dict[str, int] = {}
        self._lock = threading.Lock()

    def next(self, key: str) -> float:
        """Seconds to wait after one more failure of this key: base · 2ⁿ up to the cap, with jitter."""
        with self._lock:
            failures = self._failures.get(key, 0)
            self._failures[key] = failures + 1
            spread = 1 + self._random.uniform(-self._jitter, self._jitter)
        # The exponent is bounded because 2.0 ** 1100 is an error, and a key may fail for weeks.
        return float(min(self._cap, self._base * 2.0 ** min(failures, 64)) * spread)

    def failures(self, key: str) -> int:
        """How often this key failed since it last succeeded."""
        return self._failures.get(key, 0)

    def forget(self, key: str) -> None:
        """The key succeeded, or is gone."""
        with self._lock:
            self._failures.pop(key, None)
