"""When a certificate is renewed, and when a name that could not be checked is tried again.

Both are spread: many gateways that got their certificates at the same hour do not come back at the same hour. The spread
comes from the certificate or the name itself, so that it is the same after each restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from reconciler.certificates.certificate import Certificate
from reconciler.certificates.errors import Why

__all__ = ["AWAY_DELAYS", "DELAYS", "Failure", "Window", "failed_again", "renewal_time", "spread"]

SHARE: Final = 2 / 3
"""The part of its life after which a certificate is renewed."""
JITTER: Final = 0.06
"""The part of its life over which renewals are spread, half of it before and half of it after."""
LATEST: Final = 0.9
"""The part of its life after which a certificate is renewed whatever the server suggests."""
EARLIEST: Final = (0.1, timedelta(days=1))
"""The age, as a part of its life and at most, before which no suggestion counts: a server that suggests a time in the past
for each new certificate must not have us order one after the other.
"""

DELAYS: Final = (60.0, 300.0, 1500.0, 7200.0, 6 * 3600.0, 24 * 3600.0)
"""Seconds before the next try after so many failures: fewer than the five in an hour that Let's Encrypt counts."""
AWAY_DELAYS: Final = (5.0, 15.0, 60.0, 300.0, 900.0)
"""Seconds before a server that could not be asked is asked again; that harms no name."""
LONGEST_DELAY: Final = 7 * 24 * 3600.0
"""Seconds that a server can make us wait at most."""


@dataclass(frozen=True, slots=True)
class Window:
    """When a server suggests the renewal (ACME renewal information, RFC 9773)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """The failures of a name in a row: how many, the last reason, and when it is tried again."""

    count: int
    why: Why
    message: str
    at: datetime
    next_at: datetime


def renewal_time(certificate: Certificate, window: Window | None = None) -> datetime:
    """When a certificate is to be renewed: in the window of the server if there is one, else at two thirds of its life."""
    life = certificate.not_after - certificate.not_before
    share = spread(certificate.fingerprints[0])
    if window is None or window.end < window.start:
        return certificate.not_before + life * (SHARE + (share - 0.5) * JITTER)
    suggested = window.start + (window.end - window.start) * share
    part, most = EARLIEST
    earliest = certificate.not_before + min(life * part, most)
    return min(max(suggested, earliest), certificate.not_before + life * LATEST)


def failed_again(
    name: str,
    former: Failure | None,
    why: Why,
    message: str,
    now: datetime,
    delay: float | None = None,
    delays: Sequence[float] = DELAYS,
) -> Failure:
    """The failures of a name (or a server) with one more; `delay` is how many seconds the server asked to wait."""
    count = former.count + 1 if former else 1
    own = delays[min(count, len(delays)) - 1] * (1 + spread(f"{name} {count}") / 4)
    wait = max(own, min(delay or 0.0, LONGEST_DELAY))
    return Failure(count, why, message, now, now + timedelta(seconds=wait))


def spread(text: str) -> float:
    """A number from 0 to 1 that is always the same for a text."""
    return int.from_bytes(sha256(text.encode()).digest()[:6], "big") / (1 << 48)
