"""What the processes of HAProxy say about themselves, read into values.

A worker that was told to stop, by a reload or because its HAProxy is leaving, refuses to have its servers changed.
It takes no new connection, but a client that kept one open may send one more request on it, to any server that the
worker still knows. So such a client counts as a session of each of them: whoever waits for a server to be drained
waits for this client too, at most as long as an idle connection may live.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from reconciler.core.observed import Admin, ProxyWorker, Server

__all__ = ["EVERYTHING", "Info", "Process", "Stats", "as_worker", "old_pids", "read_info", "read_stats"]

EVERYTHING: Final = "show stat -1 7 -1"
"""The command for `read_stats`: frontends (1), backends (2) and servers (4) of all proxies."""

_PUBLIC: Final = "public"
_COLUMNS: Final = (
    "pxname",
    "svname",
    "qcur",
    "scur",
    "used_conn_cur",
    "status",
    "uweight",
    "lastchg",
    "addr",
)


@dataclass(frozen=True, slots=True)
class Info:
    """`show info` of a worker; `uptime` in seconds."""

    pid: int
    structure: str
    stopping: bool
    uptime: float


@dataclass(frozen=True, slots=True)
class Stats:
    """`show stat` of a worker: the servers of the pool, and how many clients are connected without a request."""

    servers: tuple[Server, ...]
    idle_clients: int


@dataclass(frozen=True, slots=True)
class Process:
    """One worker as it was found; `serving` when it takes new connections."""

    info: Info
    stats: Stats
    serving: bool


def old_pids(answer: str) -> tuple[int, ...]:
    """The workers before the current one, from `show proc`."""
    _, _, rest = answer.partition("# old workers\n")
    rows = (line.split() for line in rest.partition("#")[0].splitlines())
    return tuple(int(row[0]) for row in rows if len(row) > 1 and row[1] == "worker")


def read_info(answer: str) -> Info:
    """Read `show info`; raises ValueError when it is something else."""
    pairs = (line.partition(": ") for line in answer.splitlines())
    values = {name: value for name, _, value in pairs}
    try:
        return Info(
            pid=int(values["Pid"]),
            structure=values.get("description", ""),
            stopping=values["Stopping"] != "0",
            uptime=float(values["Uptime_sec"]),
        )
    except KeyError as error:
        raise ValueError(f"show info has no {error}: {answer[:200]!r}") from error


def read_stats(answer: str, pool: str) -> Stats:
    """Read `show stat`; raises ValueError when it is something else."""
    rows = csv.reader(answer.removeprefix("# ").splitlines())
    header = next(rows, [])
    try:
        at = {name: header.index(name) for name in _COLUMNS}
    except ValueError:
        raise ValueError(f"not an answer to show stat: {answer[:200]!r}") from None
    servers: list[Server] = []
    clients = requests = 0
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of show stat is not complete: {','.join(row)[:200]!r}")
        match row[at["pxname"]], row[at["svname"]]:
            case name, "FRONTEND":
                clients += _number(row[at["scur"]]) if name == _PUBLIC else 0
            case name, "BACKEND":
                requests += _number(row[at["scur"]]) if name == pool else 0
            case name, server if name == pool:
                servers.append(_server(server, {column: row[index] for column, index in at.items()}))
    return Stats(tuple(servers), max(0, clients - requests))


def as_worker(process: Process, serving: frozenset[str], successor: float) -> ProxyWorker:
    """The worker as the controller sees it.

    A worker that takes no new connections shows the servers that a client may still use through it: `serving` are
    the names of the servers that the serving workers have, `successor` the seconds since the last of those took over.
    One that they do not have is drained at least since then.
    """
    if process.serving:
        return ProxyWorker(process.info.pid, current=True, servers=process.stats.servers)
    left = (
        _left(server, process.stats.idle_clients if server.name in serving else 0, serving, successor)
        for server in process.stats.servers
    )
    return ProxyWorker(process.info.pid, current=False, servers=tuple(s for s in left if s.sessions))


def find(servers: Iterable[Server], name: str) -> Server | None:
    """The server of this name, if it is there."""
    return next((server for server in servers if server.name == name), None)


def _left(server: Server, clients: int, serving: frozenset[str], successor: float) -> Server:
    told = server.admin is Admin.DRAIN or server.name in serving
    return replace(
        server,
        admin=Admin.DRAIN,
        up=False,
        sessions=server.sessions + clients,
        since=server.since if told else min(server.since, successor),
    )


def _server(name: str, row: dict[str, str]) -> Server:
    # Weight 0 is how a server that must pass a check first is kept from traffic while it is being set up.
    out = row["status"].startswith(("MAINT", "DRAIN")) or row["uweight"] == "0"
    return Server(
        name=name,
        address=row["addr"],
        admin=Admin.DRAIN if out else Admin.READY,
        up=not out and row["status"].startswith(("UP", "no check")),
        # A connection can be busy a moment longer than its request: both must have ended.
        sessions=_number(row["qcur"]) + max(_number(row["scur"]), _number(row["used_conn_cur"])),
        since=float(_number(row["lastchg"])),
    )


def _number(text: str) -> int:
    return int(text) if text else 0
