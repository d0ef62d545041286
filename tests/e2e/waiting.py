"""Waiting for something that is about to be true: every wait of these tests has a deadline and says what it missed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

Seen = TypeVar("Seen")

PATIENCE: Final = 180.0
"""Seconds. Generous, because other work may share the machine; no test is about being quick."""
LOOK_SECONDS: Final = 0.1


def until(what: str, look: Callable[[], Seen], within: float = PATIENCE) -> Seen:
    """Look until the answer is true and return it. Fails after `within` seconds with the last answer."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what} (last seen: {seen!r})"
        time.sleep(LOOK_SECONDS)
    return seen
