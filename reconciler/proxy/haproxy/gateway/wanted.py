"""What a gateway has to be: which service has which pool, the maps, and which pools there are.

A pure function of the settled routes and of what is written, because a service keeps the pool that it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from reconciler.api.vaultgateway import GatewaySpec
from reconciler.core.plan.gateway_operations import GatewayTls
from reconciler.core.routes.guards import LoginFiles, logins_of
from reconciler.core.routes.table import Table
from reconciler.proxy.haproxy.gateway.directory import WrittenGateway
from reconciler.proxy.haproxy.gateway.maps import Maps, maps_of
from reconciler.proxy.haproxy.gateway.pools import (
    SPARES,
    Assignment,
    Need,
    PoolKind,
    assign,
    kind_of,
    needs_of,
    pool_names,
)
from reconciler.proxy.haproxy.gateway.render import structure

__all__ = ["WantedGateway", "spare_pools", "unneeded", "want"]

MOST_POOLS: Final = 999
"""Pools of one kind: their names have three digits."""


@dataclass(frozen=True, slots=True)
class WantedGateway:
    """`held`: who has which pool from now on; `needed` those of them that routes lead to. `pools` are the names of all that
    there should be, and `structure` is the digest of a configuration with them.
    """

    held: Mapping[Need, str]
    needed: frozenset[str]
    maps: Maps
    pools: tuple[str, ...]
    structure: str

    @property
    def holders(self) -> frozenset[str]:
        """The services that have a pool."""
        return frozenset(need.service for need in self.held)


def want(
    spec: GatewaySpec,
    table: Table,
    written: WrittenGateway,
    tls: GatewayTls | None = None,
    logins: LoginFiles = MappingProxyType({}),
    *,
    quiet: bool,
) -> WantedGateway:
    """What a gateway has to be. Unless it is `quiet`, no pools are added beside those that services wait for."""
    needs = needs_of(table)
    # Before the first configuration, services may have written the files of pools that they were given.
    given = () if written.structure else pool_names(SPARES)
    names = tuple(dict.fromkeys((*given, *written.known)))
    former = written.led
    busy = written.busy.union(former.values())
    assignment = assign(needs.values(), written.held, busy, names)
    pools = _with_spares(names, assignment, busy, quiet=quiet)
    routed = {
        route: pool
        for route, need in needs.items()
        if (pool := _pool(former.get(route, ""), need, assignment, written, stopped=route in table.stopped))
    }
    settings = {pool: said for pool, said in written.settings.items() if pool in assignment.pools.values()}
    return WantedGateway(
        held=assignment.pools,
        needed=frozenset(routed.values()),
        maps=maps_of(
            table,
            routed,
            settings,
            spec.trusted_proxies,
            answers=tls.answers if tls else {},
            secured=tls.secured if tls else frozenset(),
            logins=logins_of(table, logins),
        ),
        pools=pools,
        structure=_structure(_rendered(spec), pools, spec.node_selector is not None),
    )


def _pool(former: str, need: Need, assignment: Assignment, written: WrittenGateway, *, stopped: bool) -> str:
    """The pool that a route leads to: the former one until there is a new one with servers of its service. Empty for one
    that has neither.

    Also while the former one has no server: its service may be about to add some, and knows of the new one from its next
    pass on. A `stopped` service adds none.
    """
    pool = assignment.pools.get(need, "")
    said, there = written.pools.get(pool), written.pools.get(former)
    is_filled = said is not None and bool(said.servers)
    is_empty = there is not None and not there.servers
    if former == pool or is_filled or (stopped and is_empty):
        return pool
    is_own = any(each.service == need.service and name == former for each, name in assignment.pools.items())
    return former if is_own else pool


def unneeded(table: Table, written: WrittenGateway) -> tuple[str, ...]:
    """The pools that may have servers although no route leads to them."""
    needs = set(needs_of(table).values())
    needed = {pool for need, pool in written.held.items() if need in needs}
    return tuple(sorted((written.busy | set(written.held.values())) - needed))


def spare_pools(written: WrittenGateway) -> dict[str, int]:
    """How many pools of each kind are free, by the name of the kind; none before the first configuration."""
    if not written.pools:
        return {}
    taken = set(written.held.values()) | written.busy
    free = Counter(kind_of(name) for name in written.pools if name not in taken)
    return {kind.name.lower(): free[kind] for kind in PoolKind}


def _with_spares(
    names: tuple[str, ...], assignment: Assignment, busy: Collection[str], *, quiet: bool
) -> tuple[str, ...]:
    """The pools with more of each kind that is short of spare ones; each of these additions costs a reload."""
    taken = set(assignment.pools.values()) | set(busy)
    there = Counter(kind_of(name) for name in names)
    free = Counter(kind_of(name) for name in names if name not in taken)
    missing = Counter(need.kind for need in assignment.missing)
    more = [
        kind
        for kind, spare in SPARES.items()
        if missing[kind] or (quiet and 2 * free[kind] < spare and there[kind] < MOST_POOLS)
    ]
    # All at once: the next reload is as far away as it can be.
    short = {kind: missing[kind] + SPARES[kind] - free[kind] for kind in more}
    return tuple(sorted({*names, *_next_names(names, short)})) if more else names


def _next_names(names: tuple[str, ...], counts: Mapping[PoolKind, int]) -> set[str]:
    found: set[str] = set()
    for kind, count in counts.items():
        candidates = (f"{kind}{number:03}" for number in range(1, MOST_POOLS + 1))
        found |= set([name for name in candidates if name not in names][: max(0, count)])
    return found


def _rendered(spec: GatewaySpec) -> GatewaySpec:
    """The spec without what HAProxy is not told; mappings among that cannot be in the key of a cache."""
    acme = spec.acme and spec.acme.model_copy(update={"dns": None})
    return spec.model_copy(update={"node_selector": None, "acme": acme})


@lru_cache(maxsize=64)
def _structure(spec: GatewaySpec, pools: tuple[str, ...], on_nodes: bool) -> str:
    """It is told whether it is asked by an agent, and not on which nodes."""
    return structure(spec.model_copy(update={"node_selector": {} if on_nodes else None}), pools)
