"""When the pools of a service had their last request, from a stick table of each process.

An entry is touched when a request or connection comes and when it ends, and HAProxy tells how long it is kept from then on.
A process that has no entry has seen none since it was started. The table ends with the process: what was before is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.assess.observation import Activity
from reconciler.proxy.errors import ProxyError, quoted
from reconciler.proxy.haproxy.gateway.render import ACTIVITY_SECONDS
from reconciler.proxy.haproxy.socket import CURRENT, Master, ask, converse, process
from reconciler.proxy.haproxy.stats import old_pids, read_info

__all__ = ["PoolActivity", "latest", "read_activity"]


_TABLE: Final = "# table: activity, type: string,"
_ENTRY: Final = re.compile(
    r"0x[0-9a-f]+: key=(?P<pool>[a-z0-9]+) use=[0-9]+ exp=(?P<left>[0-9]{1,12}) (?:shard=[0-9]+ )?"
    r"conn_cur=(?P<open>[0-9]{1,9})(?: gpc[0-9]{1,2}=[0-9]{1,10})*"
)


@dataclass(frozen=True, slots=True)
class PoolActivity:
    """What one process knows of one pool: `idle` seconds without a request, of which `is_known` says whether one came
    before.
    """

    idle: float
    is_known: bool
    open: int


def latest(told: Iterable[PoolActivity]) -> Activity | None:
    """The activity of a service from what its pools had in each process; None without any."""
    seen = tuple(told)
    if not seen:
        return None
    last = min(seen, key=lambda each: (each.idle, not each.is_known))
    return Activity(last.idle, last.is_known, sum(each.open for each in seen))


def read_activity(master: Master, pools: Sequence[str]) -> Iterator[PoolActivity]:
    """What each process of a HAProxy knows of these pools. Raises ProxyError."""
    commands = [f"show table activity key {pool}" for pool in pools]
    workers, info, *answers = ask(
        master, ["show proc", f"{CURRENT} show info", *(f"{CURRENT} {c}" for c in commands)]
    )
    try:
        told = read_info(info)
    except ValueError as error:
        raise ProxyError(f"HAProxy in slot {master.slot} was not understood: {error}") from error
    for pool, answer in zip(pools, answers, strict=True):
        if answer and not answer.startswith(_TABLE):
            # A HAProxy of a former structure has no such table.
            raise ProxyError(f"HAProxy in slot {master.slot} tells nothing of requests: {quoted(answer)!r}")
        found = _entry(pool, answer)
        if found is not None:
            yield found
        elif not told.stopping:
            yield PoolActivity(told.uptime, is_known=False, open=0)
    for pid in old_pids(workers):
        # It may have ended since it was listed.
        said = converse(master, [f"{process(pid)} {command}" for command in commands])
        yield from filter(None, (_entry(pool, said) for pool in pools))


def _entry(pool: str, answer: str) -> PoolActivity | None:
    for line in answer.splitlines():
        if (entry := _ENTRY.fullmatch(line.strip())) and entry["pool"] == pool:
            left = int(entry["left"]) / 1000
            return PoolActivity(max(0.0, ACTIVITY_SECONDS - left), is_known=True, open=int(entry["open"]))
    return None
