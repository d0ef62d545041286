"""One server of a pool in one worker of a HAProxy in memory, and the changes of a pool."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from reconciler.core.assess.observation import DEFAULT_WEIGHT, Admin
from reconciler.proxy.base import NewServer

__all__ = ["SEES_DOWN_AFTER", "SEES_UP_AFTER", "Answering", "MemoryServer", "Servers", "add", "delete"]

SEES_UP_AFTER: Final = 0.25
SEES_DOWN_AFTER: Final = 3.0
"""Seconds until checks notice that a server answers, or no longer does."""


class Answering(Protocol):
    """What checks find."""

    def answers(self, address: str, client: str = "") -> tuple[bool, float]:
        """Whether a container answers at "address:port", and since when that is so; `client` is the container that asks if
        it may be in none of its networks.
        """


@dataclass(slots=True)
class MemoryServer:
    """One server in one worker; `sessions` holds when each of its sessions ends, `changed` when its status did."""

    address: str
    changed: float
    admin: Admin = Admin.READY
    up: bool = True
    weight: int = DEFAULT_WEIGHT
    sessions: list[float] = field(default_factory=list)

    def settle(self, network: Answering, now: float, client: str = "") -> None:
        """Apply the results of checks up to now."""
        if self.sessions:
            self.sessions = [end for end in self.sessions if end > now]
        if self.admin is Admin.READY:
            answers, since = network.answers(self.address, client)
            noticed = max(since + (SEES_UP_AFTER if answers else SEES_DOWN_AFTER), self.changed)
            if answers != self.up and now >= noticed:
                self.up, self.changed = answers, noticed

    def drain(self, now: float) -> None:
        """Take no new session."""
        if self.admin is Admin.READY:
            self.admin, self.up, self.changed = Admin.DRAIN, False, now


Servers = dict[str, MemoryServer]


def add(pool: Servers, servers: Iterable[NewServer], now: float) -> None:
    """Add each server at its address, and at no other, and enable it."""
    for server in servers:
        known = pool.get(server.name)
        if known is None or known.address != server.address:
            known = pool[server.name] = MemoryServer(server.address, now, admin=Admin.DRAIN, up=False)
        if known.admin is not Admin.READY:
            known.admin, known.up, known.changed = Admin.READY, server.trusted, now
            known.weight = server.weight


def delete(pool: Servers, server: str, now: float, *, force: bool) -> bool:
    """Whether the server is gone now."""
    known = pool.get(server)
    if known is not None:
        known.drain(now)
        if known.sessions and not force:
            return False
        del pool[server]
    return True
