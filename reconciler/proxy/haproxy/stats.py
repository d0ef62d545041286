"""Parses the answers of HAProxy's processes about their state.

A leaving worker, after a reload or because its HAProxy is replaced, refuses changes of its servers and sends no server a
new request: it passes requests that still reach it to its successor. Only its remaining sessions count, so only these are
shown.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Final

from reconciler.core.assess.observation import MAX_WEIGHT, Admin, ProxyWorker, Server
from reconciler.proxy.errors import quoted

__all__ = ["Info", "Process", "as_worker", "last_successor", "old_pids", "read_info", "read_servers"]

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

MAX_ROW: Final = 65536
"""Characters of a row, which has about a thousand."""

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
    lines = answer.splitlines()
    if len(max(lines, key=len, default="")) > MAX_ROW:
        raise ValueError(f"a row of show stat has more than {MAX_ROW} characters")
    # Only texts that need it are quoted; without one the rows need no parser.
    rows = csv.reader(lines) if '"' in answer else (line.split(",") for line in lines)
    header = next(rows, [])
    try:
        names = _COLUMNS + (_CHECK_COLUMNS if header.count(_CHECK_COLUMNS[0]) else ())
        pick = itemgetter(*(header.index(name) for name in names))
    except ValueError:
        raise ValueError(f"not an answer to show stat: {quoted(answer)!r}") from None
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise ValueError(f"a row of show stat is not complete: {quoted(','.join(row))!r}")
        if number == MAX_SERVERS:
            raise ValueError(f"show stat tells of more than {MAX_SERVERS} servers")
        yield _server(*pick(row))


def last_successor(processes: Iterable[Process]) -> float:
    """Seconds since the last of the workers that serve began to; infinity without one."""
    return min((process.info.uptime for process in processes if process.serving), default=float("inf"))


def as_worker(process: Process, successor: float) -> ProxyWorker:
    """The worker as a value of the core.

    Of a leaving worker only the servers that still have a session are shown. It sent them requests until another one took
    over, the last of those that serve `successor` seconds ago. Another HAProxy may have drained them long before.
    """
    if process.serving:
        return ProxyWorker(process.info.pid, current=True, servers=process.servers)
    left = (
        server._replace(
            admin=Admin.DRAIN,
            up=False,
            since=server.since if server.admin is Admin.DRAIN else min(server.since, successor),
        )
        for server in process.servers
        if server.sessions
    )
    return ProxyWorker(process.info.pid, current=False, servers=tuple(left))


def _server(
    name: str,
    queued: str,
    sessions: str,
    busy: str,
    status: str,
    weight: str,
    changed: str,
    address: str,
    check: str = "",
    code: str = "",
) -> Server:
    if not (_SERVER_NAME.fullmatch(name) and _ADDRESS.fullmatch(address)):
        raise ValueError(f"show stat tells of a server without a proper name or address: {quoted(name)!r}")
    admin, up, share, failure = _state(status, weight, check, code)
    # A connection can be busy a moment longer than its request: both must have ended.
    still = _number(queued) + max(_number(sessions), _number(busy))
    return Server(name, address, admin, up, still, float(_number(changed)), failure, share)


@lru_cache(maxsize=64)
def _state(status: str, weight: str, check: str, code: str) -> tuple[Admin, bool, int, str]:
    """What nearly all servers of a pool have in common: its state, its weight and the result of its last check."""
    # A server whose weight is 0 is UP or DOWN like any other: only disabled servers are MAINT or DRAIN.
    out = status.startswith(("MAINT", "DRAIN"))
    if (share := _number(weight)) > MAX_WEIGHT:
        raise ValueError(f"show stat tells of a server of weight {share}, more than {MAX_WEIGHT}")
    # An asterisk means that the next check is in progress.
    result = check.removeprefix("* ")
    failure = "" if result in _NO_CHECK_YET else " ".join(filter(None, (result, code)))
    up = not out and status.startswith(("UP", "no check"))
    return Admin.DRAIN if out else Admin.READY, up, share, failure


@lru_cache(maxsize=256)
def _number(text: str) -> int:
    if text and not _NUMBER.fullmatch(text):
        raise ValueError(f"not a number: {quoted(text)!r}")
    return int(text) if text else 0
