"""Checks whether a pool is full with the engine, HAProxy and the replicas, in the same way for every contestant."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.contestants import DEADLINE, LOOK_SECONDS, RefusedError, Subject

ANSWER_SECONDS: Final = 10.0
CHECKED: Final = "("
"""In the engine's sentence about a running container this begins what its health check says, if it has one."""
HEALTHY: Final = "(healthy)"
PROBE_SECONDS: Final = 0.5
PORT: Final = 8000


def servers_up(admin: Path) -> frozenset[str]:
    """IP addresses of the servers that are UP in HAProxy, in any backend."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(str(admin))
        connection.sendall(b"show stat -1 4 -1\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    header, *rows = (line.split(",") for line in answer.decode().strip().splitlines())
    status, address = header.index("status"), header.index("addr")
    return frozenset(row[address].rpartition(":")[0] for row in rows if row[status].startswith("UP"))


def addresses(row: Mapping[str, Any]) -> frozenset[str]:
    """The IP addresses of a container in the engine's list."""
    networks = (row.get("NetworkSettings") or {}).get("Networks") or {}
    return frozenset(body["IPAddress"] for body in networks.values() if body and body.get("IPAddress"))


def is_full(subject: Subject, replicas: int) -> bool:
    """Whether exactly this number of replicas run, and all are UP and answer."""
    return _are_full(subject, subject.rows(), replicas)


def _are_full(subject: Subject, rows: Sequence[Mapping[str, Any]], replicas: int) -> bool:
    if len(rows) != replicas:
        return False
    up = servers_up(subject.admin)
    return all(addresses(row) & up for row in rows) and all(_answers(row) for row in rows)


def is_replaced(
    subject: Subject, before: Collection[str], rows: Sequence[Mapping[str, Any]] | None = None
) -> bool:
    """Whether the pool is full again without replicas of `before` (IDs); `rows` are the current containers."""
    rows = subject.rows() if rows is None else rows
    return not any(row["Id"] in before for row in rows) and _are_full(subject, rows, len(before))


def _answers(row: Mapping[str, Any]) -> bool:
    """Whether it says that it is well. HAProxy may not have noticed yet that it has ended, or is not there yet."""
    if CHECKED in row["Status"]:
        return HEALTHY in row["Status"]
    address = min(addresses(row))
    connection = HTTPConnection(address, PORT, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def wait_until(what: str, look: Callable[[], bool], seconds: float = DEADLINE) -> float:
    """Poll until it is true; returns the monotonic time. Raises RefusedError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise RefusedError(f"not within {seconds:g} s: {what}")
        time.sleep(LOOK_SECONDS)
    return time.monotonic()
