"""Reads what HAProxies have counted: of a service with proxies of its own, and of the pools of gateways.

Only the worker that takes connections is asked, over its own socket and in one line: one that leaves counts little more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from reconciler.core.desired.stack import Site, Stack
from reconciler.core.traffic.tally import Count, Tally
from reconciler.proxy.base import Counted
from reconciler.proxy.errors import ProxyError, quoted
from reconciler.proxy.haproxy.gateway.directory import read_held, read_slots
from reconciler.proxy.haproxy.reaching import Reach, reach
from reconciler.proxy.haproxy.socket import Master, ask_worker
from reconciler.proxy.haproxy.stats import read_info
from reconciler.proxy.haproxy.times import CLASSES
from reconciler.threads import side_by_side

__all__ = ["HAProxyCounting", "read_counted", "read_tallies"]

SECONDS: Final = 1.0
"""Timeout of one HAProxy: numbers that are late are left out."""
ALL: Final = "-1"
_CLASSES_OF_STATUSES: Final = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
_COLUMNS: Final = ("# pxname", *_CLASSES_OF_STATUSES)
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_ENTRY: Final = re.compile(r"0x[0-9a-f]+: key=(?P<pool>[a-z0-9_.-]{1,64}) (?P<rest>.*)")
_COUNTER: Final = re.compile(r"\bgpc(?P<index>[0-9]{1,2})=(?P<count>[0-9]{1,10})\b")


class HAProxyCounting:
    """Implements reconciler.proxy.base.Counting; any thread may use it. `sites` are those of all gateways by name; `at` is
    how it reaches their HAProxies, on this node or on others.
    """

    def __init__(self, sites: Callable[[], Mapping[str, Site]], at: Reach = reach) -> None:
        self._sites = sites
        self._at = at

    def counts(self, stacks: Sequence[tuple[Stack, Sequence[int]]]) -> Iterator[Count]:
        """See Counting.counts."""
        routed = {stack.name for stack, _ in stacks if stack.routed is not None}
        for stack, slots in stacks:
            if stack.routed is None:
                pools = {stack.proxy.pool: stack.name}
                yield from self._counts(stack.site, slots, pools, stack.label)
        for gateway, site in self._sites().items() if routed else ():
            with suppress(OSError):
                held = read_held(site).items()
                pools = {pool: need.service for need, pool in held if need.service in routed}
                yield from self._counts(site, read_slots(site), pools, f"gateway {gateway}")

    def _counts(
        self, site: Site, slots: Sequence[int], pools: Mapping[str, str], place: str
    ) -> Iterator[Count]:
        """What the HAProxies in these slots have counted for `pools`, each with its service; nothing of one that does not
        tell.
        """

        def ask(slot: int) -> Counted | None:
            try:
                return self._at(site, slot, SECONDS).counted(sorted(pools))
            except ProxyError:
                return None

        for slot, found in zip(slots, side_by_side(ask, slots), strict=True) if pools else ():
            if found is None:
                continue
            for pool, tally in found.tallies.items():
                if service := pools.get(pool):
                    # Another service may get the pool later.
                    source = f"{place} {slot} {found.pid} {pool} {service}"
                    yield Count(service, source, found.uptime, tally)


def read_counted(master: Master, pools: Sequence[str]) -> Counted:
    """What the worker that takes connections has counted for these pools. Raises ProxyError."""
    which, key = (pools[0], f" key {pools[0]}") if len(pools) == 1 else (ALL, "")
    commands = ["show info", f"show stat {which} 2 -1", f"show table activity{key}"]
    info, stats, table = ask_worker(master, commands)
    try:
        process, tallies = read_info(info), read_tallies(stats, table)
    except ValueError as error:
        raise ProxyError(f"HAProxy in slot {master.slot} was not understood: {error}") from error
    return Counted(process.pid, process.uptime, {pool: tallies[pool] for pool in pools if pool in tallies})


def read_tallies(stats: str, table: str) -> dict[str, Tally]:
    """The tally of each pool from `show stat` and `show table activity`. Raises ValueError for another answer.

    A HAProxy of a former structure has no such table: then no times are known.
    """
    times = dict(_times(table))
    header, *rows = [line.split(",") for line in stats.splitlines()] or [[]]
    try:
        places = [header.index(name) for name in _COLUMNS]
    except ValueError:
        raise ValueError(f"not an answer to show stat: {quoted(stats)!r}") from None
    found: dict[str, Tally] = {}
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of show stat is not complete: {quoted(','.join(row))!r}")
        pool, *texts = (row[place] for place in places)
        # A pool of connections has no statuses.
        if all(map(_NUMBER.fullmatch, texts)):
            counts = dict(zip(_CLASSES_OF_STATUSES, map(int, texts), strict=True))
            tally = Tally(sum(counts.values()), counts["hrsp_5xx"])
            found[pool] = tally if pool not in times else Tally(tally.requests, tally.errors, times[pool])
    return found


def _times(table: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    for line in table.splitlines():
        if entry := _ENTRY.fullmatch(line.strip()):
            counters = {int(each["index"]): int(each["count"]) for each in _COUNTER.finditer(entry["rest"])}
            if counters:
                yield entry["pool"], tuple(counters.get(index, 0) for index in range(CLASSES))
