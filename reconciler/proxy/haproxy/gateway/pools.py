"""Which pool of a gateway serves which routes.

HAProxy cannot add a backend while it runs, so a gateway has spare ones and a service takes one that is free. It keeps that
until it needs it no longer and the last server is gone. Settings that HAProxy has by backend only make kinds of pools.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.core.routes.table import Table

__all__ = [
    "POOL_NAME",
    "SPARES",
    "Assignment",
    "Need",
    "PoolKind",
    "assign",
    "assignment_text",
    "kind_of",
    "need_of",
    "needs_of",
    "pool_names",
    "read_assignment",
]


class PoolKind(StrEnum):
    """What a backend is made for; the letter begins its name."""

    HTTP = "h"
    STICKY = "s"
    COMPRESSED = "z"
    STICKY_COMPRESSED = "y"
    H2C = "g"
    TCP = "t"
    TCP_PROXY = "p"

    @property
    def is_sticky(self) -> bool:
        """Whether clients stay with a server by a cookie."""
        return self in (PoolKind.STICKY, PoolKind.STICKY_COMPRESSED)

    @property
    def is_tcp(self) -> bool:
        """Whether connections are passed on, and no requests are read."""
        return self in (PoolKind.TCP, PoolKind.TCP_PROXY)

    @property
    def is_compressed(self) -> bool:
        """Whether HAProxy compresses answers."""
        return self in (PoolKind.COMPRESSED, PoolKind.STICKY_COMPRESSED)


SPARES: Final[Mapping[PoolKind, int]] = {
    PoolKind.HTTP: 64,
    PoolKind.STICKY: 16,
    PoolKind.COMPRESSED: 16,
    PoolKind.STICKY_COMPRESSED: 8,
    PoolKind.H2C: 8,
    PoolKind.TCP: 16,
    PoolKind.TCP_PROXY: 8,
}
"""Free pools of each kind after a start; a pool without servers takes some KiB."""

POOL_NAME: Final = f"[{''.join(PoolKind)}][0-9]{{3}}"
"""What a name of a pool looks like, as a regular expression."""

_HELD: Final = re.compile(rf"({POOL_NAME}) ([a-z][a-z0-9-]{{0,39}}) (0|[1-9][0-9]{{0,4}})")

_KINDS: Final = {
    (False, False): PoolKind.HTTP,
    (True, False): PoolKind.STICKY,
    (False, True): PoolKind.COMPRESSED,
    (True, True): PoolKind.STICKY_COMPRESSED,
}


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """A pool that a service needs: the replicas' `port`, 0 for that of the service, and the kind."""

    service: str
    port: int
    kind: PoolKind


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who has which pool; `missing` are needs for which no pool is left, so that more have to be made."""

    pools: Mapping[Need, str]
    missing: tuple[Need, ...] = ()


def kind_of(name: str) -> PoolKind:
    """The kind of a pool by its name. Raises ValueError for a name that is none of a pool."""
    kind, number = name[:1], name[1:]
    if not (number.isascii() and number.isdigit() and len(number) == 3):
        raise ValueError(f"{name!r} is no pool of a gateway")
    return PoolKind(kind)


def pool_names(counts: Mapping[PoolKind, int]) -> tuple[str, ...]:
    """The names of so many pools of each kind."""
    return tuple(f"{kind}{number:03}" for kind in PoolKind for number in range(1, counts.get(kind, 0) + 1))


def needs_of(table: Table) -> dict[str, Need]:
    """The pool that each route needs, by the id of the route; one that only redirects needs none."""
    routes: dict[str, Route | TcpRoute] = {**table.routes, **table.connections}
    needs = {name: need_of(table.services[name], route) for name, route in routes.items()}
    return {name: need for name, need in needs.items() if need is not None}


def need_of(service: str, route: Route | TcpRoute) -> Need | None:
    """The pool that a route of a service needs; None for one that only redirects."""
    if isinstance(route, TcpRoute):
        return Need(service, route.target, PoolKind.TCP_PROXY if route.send_proxy else PoolKind.TCP)
    return None if route.redirect is not None else Need(service, route.port or 0, _kind(route))


def assign(
    needs: Iterable[Need], held: Mapping[Need, str], busy: Collection[str], names: Collection[str]
) -> Assignment:
    """A pool for each need: the one that it holds already, else the first free one of its kind.

    A pool that is no longer needed stays with its former holder while it has servers (`busy`). `names` are all pools.
    """
    wanted = set(needs)
    pools = {need: pool for need, pool in held.items() if pool in names and (need in wanted or pool in busy)}
    taken = set(pools.values()) | set(busy)
    missing = []
    for need in sorted(wanted - set(pools)):
        free = (name for name in sorted(names) if kind_of(name) is need.kind and name not in taken)
        if pool := next(free, None):
            pools[need] = pool
            taken.add(pool)
        else:
            missing.append(need)
    return Assignment(dict(sorted(pools.items())), tuple(missing))


def assignment_text(pools: Mapping[Need, str]) -> str:
    """Who has which pool, as a file: a line of pool, service and port for each."""
    lines = sorted(f"{pool} {need.service} {need.port}\n" for need, pool in pools.items())
    return "".join(lines)


def read_assignment(text: str) -> dict[Need, str]:
    """Who has which pool, from a file. A line that is not understood is left out: its pool counts as free unless it has
    servers.
    """
    found: dict[Need, str] = {}
    given: set[str] = set()
    for line in text.splitlines():
        if match := _HELD.fullmatch(line):
            pool, service, port = match.groups()
            need = Need(service, int(port), kind_of(pool))
            if pool not in given and need not in found:
                found[need] = pool
                given.add(pool)
    return found


def _kind(route: Route) -> PoolKind:
    if route.app_protocol is not None:
        return PoolKind.H2C
    return _KINDS[route.sticky is not None, route.compression]
