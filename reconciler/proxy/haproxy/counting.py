"""Reads what HAProxies have counted: of a service with proxies of its own, and of the pools of gateways.

Only the worker that takes connections is asked, over its own socket and in one line: one that leaves counts little more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from reconciler.core.desired.stack import Site, Stack
from reconciler.core.traffic.tally import Count, Tally
from reconciler.proxy.errors import ProxyError, quoted
from reconciler.proxy.haproxy.gateway.directory import read_held, read_slots
from reconciler.proxy.haproxy.socket import Master, ask_worker
from reconciler.proxy.haproxy.stats import read_info
from reconciler.proxy.haproxy.times import CLASSES

__all__ = ["HAProxyCounting", "read_tallies"]

SECONDS: Final = 1.0
"""Timeout of one HAProxy: numbers that are late are left out."""
ALL: Final = "-1"
_CLASSES_OF_STATUSES: Final = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
_COLUMNS: Final = ("# pxname", *_CLASSES_OF_STATUSES)
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_ENTRY: Final = re.compile(r"0x[0-9a-f]+: key=(?P<pool>[a-z0-9_.-]{1,64}) (?P<rest>.*)")
_COUNTER: Final = re.compile(r"\bgpc(?P<index>[0-9]{1,2})=(?P<count>[0-9]{1,10})\b")


class HAProxyCounting:
    """Implements reconciler.proxy.base.Counting; any thread may use it. `sites` are those of all gateways by name."""

    def __init__(self, sites: Callable[[], Mapping[str, Site]]) -> None:
        self._sites = sites

    def counts(self, stacks: Sequence[tuple[Stack, Sequence[int]]]) -> Iterator[Count]:
        """See Counting.counts."""
        routed = {stack.name for stack, _ in stacks if stack.routed is not None}
        for stack, slots in stacks:
            if stack.routed is None:
                pools = {stack.proxy.pool: stack.name}
                for slot in slots:
                    yield from _counts(stack.site, slot, pools, stack.label, stack.proxy.pool)
        for gateway, site in self._sites().items() if routed else ():
            with suppress(OSError):
                held = read_held(site).items()
                pools = {pool: need.service for need, pool in held if need.service in routed}
                for slot in read_slots(site):
                    yield from _counts(site, slot, pools, f"gateway {gateway}", ALL)


def _counts(site: Site, slot: int, pools: Mapping[str, str], place: str, which: str) -> Iterator[Count]:
    """What the HAProxy in a slot has counted for `pools`, each with its service; nothing if it does not tell."""
    with suppress(ProxyError, ValueError):
        key = "" if which == ALL else f" key {which}"
        info, stats, table = ask_worker(
            Master(site, slot, time.monotonic() + SECONDS),
            ["show info", f"show stat {which} 2 -1", f"show table activity{key}"],
        )
        process = read_info(info)
        for pool, tally in read_tallies(stats, table).items():
            if service := pools.get(pool):
                # Another service may get the pool later.
                source = f"{place} {slot} {process.pid} {pool} {service}"
                yield Count(service, source, process.uptime, tally)


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
