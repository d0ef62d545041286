"""Logs of instances, which Swarm fetches from the node where the task is."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from reconciler.engines.swarm.api import SwarmApi
from reconciler.engines.swarm.rows import LIVE, newest_first

__all__ = ["follow", "last", "pieces"]

HEAD: Final = struct.Struct(">BxxxL")
"""Before each piece of output: which stream, and how many bytes."""
LOOK_SECONDS: Final = 1.0
"""Between two requests for new lines: Swarm's own stream does not end with the task."""


def last(api: SwarmApi, identifier: str, lines: int) -> str:
    """The last lines of the newest task with a container; without one, why Swarm has none."""
    tasks = newest_first(api.tasks("", identifier))
    for task in tasks:
        if _has_container(task):
            return _read(api, task["ID"], tail=lines).decode(errors="replace")
    reason = tasks[0]["Status"].get("Err") or "" if tasks else ""
    return f"Swarm: {reason}\n" if reason else ""


def follow(api: SwarmApi, identifier: str, lines: int) -> Iterator[str]:
    """The last lines of an instance and then every new one, until it runs no more."""
    seen: dict[str, str] = {}
    former: frozenset[str] = frozenset()
    first = True
    while True:
        tasks = newest_first(api.tasks("", identifier))
        is_over = not any(task["Status"]["State"] in LIVE for task in tasks)
        told = [task for task in tasks if _has_container(task) and task["ID"] not in former]
        if first:
            # Swarm keeps some tasks that have failed: what these said is neither last nor new.
            told, former = told[:1], frozenset(task["ID"] for task in told[1:])
        for task in reversed(told):
            known = seen.get(task["ID"], "")
            query = {"timestamps": 1, **({"since": _seconds(known)} if known else {})}
            for line in (
                _read(api, task["ID"], tail=lines if first else "all", **query)
                .decode(errors="replace")
                .splitlines()
            ):
                moment, _, text = line.partition(" ")
                # `since` is in whole seconds, so some lines come again.
                if moment > known:
                    seen[task["ID"]] = moment
                    yield text
        if is_over:
            return
        first = False
        time.sleep(LOOK_SECONDS)


def pieces(body: bytes) -> bytes:
    """Output without the heads of its pieces; what is no such stream stays as it is, as that of a terminal."""
    found, at = bytearray(), 0
    while at + HEAD.size <= len(body):
        stream, size = HEAD.unpack_from(body, at)
        if stream > 2 or body[at + 1 : at + 4] != b"\0\0\0":
            return body
        found += body[at + HEAD.size : at + HEAD.size + size]
        at += HEAD.size + size
    return bytes(found) if at else body


def _read(api: SwarmApi, task: str, **query: Any) -> bytes:
    wanted = {"stdout": 1, "stderr": 1, **query}
    return pieces(api.docker.content("read logs", "/tasks/{}/logs", task, query=wanted, missing=b""))


def _has_container(task: Mapping[str, Any]) -> bool:
    return bool((task["Status"].get("ContainerStatus") or {}).get("ContainerID"))


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(f"{moment[:19]}+00:00").timestamp())
