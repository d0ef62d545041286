"""Whether a pool is full: asked of the engine and of HAProxy itself, alike for every contestant."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.contestants import DEADLINE, LOOK_SECONDS, RefusedError, Subject

ANSWER_SECONDS: Final = 10.0
HEALTHY: Final = "(healthy)"


def servers_up(admin: Path) -> frozenset[str]:
    """IP addresses of the servers that HAProxy calls UP, in any of its backends."""
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


def addresses(row: dict[str, Any]) -> frozenset[str]:
    """The IP addresses of a container in the engine's list."""
    networks = (row.get("NetworkSettings") or {}).get("Networks") or {}
    return frozenset(body["IPAddress"] for body in networks.values() if body and body.get("IPAddress"))


def is_full(subject: Subject, replicas: int) -> bool:
    """Whether just these many replicas run, and all are healthy and UP."""
    rows = subject.rows()
    if len(rows) != replicas or not all(HEALTHY in row["Status"] for row in rows):
        return False
    up = servers_up(subject.admin)
    return all(addresses(row) & up for row in rows)


def wait_until(what: str, look: Callable[[], bool]) -> float:
    """The monotonic moment at which it was seen to be so. Raises RefusedError after the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not look():
        if time.monotonic() > deadline:
            raise RefusedError(f"not within {DEADLINE:g} s: {what}")
        time.sleep(LOOK_SECONDS)
    return time.monotonic()
