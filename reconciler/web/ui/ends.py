"""When certificates end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from metrics.gateways import GatewaySnapshot

__all__ = ["FEW_DAYS", "days_until", "ends_of"]

DAY: Final = 86400
FEW_DAYS: Final = 14
"""Fewer than these are shown as a problem: a renewal was due long before."""


def ends_of(gateways: Iterable[GatewaySnapshot]) -> Mapping[str, datetime]:
    """By the name of a service, when the first of the certificates for its routes ends."""
    found: dict[str, datetime] = {}
    for gateway in gateways:
        ends = {each.host: each.not_after for each in gateway.certificates}
        for route in gateway.routes:
            if end := ends.get(route.host):
                found[route.service] = min(end, found.get(route.service, end))
    return found


def days_until(when: datetime | None, now: datetime) -> int | None:
    """Whole days until a moment, negative ones after it."""
    return None if when is None else int((when - now).total_seconds() // DAY)
