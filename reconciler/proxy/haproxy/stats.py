"""Parses the answers of HAProxy's processes about their state.

A leaving worker, after a reload or because its HAProxy is replaced, refuses changes of its servers and sends no server a
new request: it passes requests that still reach it to its successor. Only its remaining sessions count, so only these are
shown.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from reconciler.core.assess.observation import MAX_WEIGHT, Admin, ProxyWorker, Server
from reconciler.proxy.errors import quoted

__all__ = ["Info", "Process", "as_worker", "find", "old_pids", "read_info", "read_servers"]

_COLUMNS: Final = (
    "svname",
    "qcur",
    "scur",
    "used_conn_cur",
    "status",
    "uweight",
    "lastchg",
    "addr",
)
_CHECK_COLUMNS: Final = ("check_status", "check_code")
_NO_CHECK_YET: Final = ("", "INI", "UNK")

MAX_SERVERS: Final = 4096
"""Servers of one worker; a service has at most a thousand replicas, and as many again while they are replaced."""

_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_SERVER_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_ADDRESS: Final = re.compile(r"[!-~]{0,128}")
_STRUCTURE: Final = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True)
class Info:
    """`show info` of a worker; `uptime` in seconds."""

    pid: int
    structure: str
    stopping: bool
    uptime: float


@dataclass(frozen=True, slots=True)
class Process:
    """The observed state of one worker; `serving` when it takes new connections."""

    info: Info
    servers: tuple[Server, ...]
    serving: bool


def old_pids(answer: str) -> tuple[int, ...]:
    """The workers before the current one, from `show proc`, each once."""
    _, _, rest = answer.partition("# old workers\n")
    rows = (line.split() for line in rest.partition("#")[0].splitlines())
    pids = (_number(row[0]) for row in rows if row[1:2] == ["worker"] and _NUMBER.fullmatch(row[0]))
    return tuple(dict.fromkeys(pids))


def read_info(answer: str) -> Info:
    """Read `show info`; raises ValueError when it is something else."""
    pairs = (line.partition(": ") for line in answer.splitlines())
    values = {name: value for name, _, value in pairs}
    try:
        structure = values.get("description", "")
        return Info(
            pid=_number(values["Pid"]),
            # It is compared and shown: a text that is no digest counts as missing.
            structure=structure if _STRUCTURE.fullmatch(structure) else "",
            stopping=values["Stopping"] != "0",
            uptime=float(_number(values["Uptime_sec"])),
        )
    except KeyError as error:
        raise ValueError(f"show info has no {error}: {quoted(answer)!r}") from error


def read_servers(answer: str) -> tuple[Server, ...]:
    """Read the servers of `show stat`; raises ValueError when it is something else."""
    try:
        return tuple(_servers(answer))
    except csv.Error as error:
        raise ValueError(f"not an answer to show stat: {error}") from error


def _servers(answer: str) -> Iterator[Server]:
    rows = csv.reader(answer.splitlines())
    header = next(rows, [])
    try:
        at = {name: header.index(name) for name in _COLUMNS}
        at |= {name: header.index(name) for name in _CHECK_COLUMNS if name in header}
    except ValueError:
        raise ValueError(f"not an answer to show stat: {quoted(answer)!r}") from None
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise ValueError(f"a row of show stat is not complete: {quoted(','.join(row))!r}")
        if number == MAX_SERVERS:
            raise ValueError(f"show stat tells of more than {MAX_SERVERS} servers")
        yield _server({column: row[index] for column, index in at.items()})


def as_worker(process: Process, serving: frozenset[str], successor: float) -> ProxyWorker:
    """The worker as a value of the core.

    Of a leaving worker only the servers that still have a session are shown. Those that the serving workers
    do not have (`serving` are the names of those that they have) are drained at least since the last of these took
    over, `successor` seconds ago.
    """
    if process.serving:
        return ProxyWorker(process.info.pid, current=True, servers=process.servers)
    left = (
        replace(
            server,
            admin=Admin.DRAIN,
            up=False,
            since=server.since
            if server.admin is Admin.DRAIN or server.name in serving
            else min(server.since, successor),
        )
        for server in process.servers
        if server.sessions
    )
    return ProxyWorker(process.info.pid, current=False, servers=tuple(left))


def find(servers: Iterable[Server], name: str) -> Server | None:
    """The server of this name, if it exists."""
    return next((server for server in servers if server.name == name), None)


def _server(row: dict[str, str]) -> Server:
    if not (_SERVER_NAME.fullmatch(row["svname"]) and _ADDRESS.fullmatch(row["addr"])):
        raise ValueError(
            f"show stat tells of a server without a proper name or address: {quoted(row['svname'])!r}"
        )
    # A server whose weight is 0 is UP or DOWN like any other: only disabled servers are MAINT or DRAIN.
    out = row["status"].startswith(("MAINT", "DRAIN"))
    if (weight := _number(row["uweight"])) > MAX_WEIGHT:
        raise ValueError(f"show stat tells of a server of weight {weight}, more than {MAX_WEIGHT}")
    return Server(
        name=row["svname"],
        address=row["addr"],
        admin=Admin.DRAIN if out else Admin.READY,
        up=not out and row["status"].startswith(("UP", "no check")),
        # A connection can be busy a moment longer than its request: both must have ended.
        sessions=_number(row["qcur"]) + max(_number(row["scur"]), _number(row["used_conn_cur"])),
        since=float(_number(row["lastchg"])),
        check=_check(row),
        weight=weight,
    )


def _check(row: dict[str, str]) -> str:
    # An asterisk means that the next check is in progress.
    status = row.get("check_status", "").removeprefix("* ")
    return "" if status in _NO_CHECK_YET else " ".join(filter(None, (status, row.get("check_code", ""))))


def _number(text: str) -> int:
    if text and not _NUMBER.fullmatch(text):
        raise ValueError(f"not a number: {quoted(text)!r}")
    return int(text) if text else 0
