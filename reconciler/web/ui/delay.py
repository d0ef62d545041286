"""Wrong passwords: each further one makes the next try wait longer, and none locks a user out.

Tries are counted for a name together with where they come from, and a browser that has logged in before is counted on its
own: an attacker slows down only the attacker.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["FREE", "LONGEST", "Delays", "network_of"]

FREE: Final = 3
"""Wrong passwords before the first wait."""
FIRST: Final = 1.0
LONGEST: Final = 60.0
FORGOTTEN: Final = 3600.0
"""Seconds after the last wrong password when all of them are forgotten."""
MOST: Final = 20_000
IPV6_PREFIX: Final = 64
"""What one customer of a provider has."""


@dataclass(slots=True)
class _Tries:
    count: int
    last: float


class Delays:
    """The waits of one server, in memory. Threads may share it. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[tuple[str, ...], _Tries] = {}

    def begin(self, key: tuple[str, ...]) -> float:
        """Seconds that a try has to wait. With 0 it counts as wrong until `succeeded`, so that many at once are many."""
        now = self._clock()
        with self._lock:
            tries = self._tries.get(key)
            if tries is not None and now - tries.last >= FORGOTTEN:
                tries = None
            if tries is not None and (left := tries.last + _pause(tries.count) - now) > 0:
                return left
            self._make_room(now)
            # At the end of the order, which is that of the last try.
            self._tries.pop(key, None)
            self._tries[key] = _Tries((tries.count if tries else 0) + 1, now)
            return 0.0

    def succeeded(self, key: tuple[str, ...]) -> None:
        """The password was right."""
        with self._lock:
            self._tries.pop(key, None)

    def _make_room(self, now: float) -> None:
        while self._tries:
            oldest = next(iter(self._tries))
            if len(self._tries) < MOST and now - self._tries[oldest].last < FORGOTTEN:
                return
            del self._tries[oldest]


def _pause(count: int) -> float:
    return 0.0 if count < FREE else min(LONGEST, FIRST * 2.0 ** min(count - FREE, 16))


def network_of(address: str) -> str:
    """What an attacker cannot change at will: an IPv4 address, or the network of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))
    return str(found)
