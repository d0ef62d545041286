"""Replaces a map of a running HAProxy as a whole: all of its entries become visible with one commit.

HAProxy swallows a line that it does not understand, so the entries are counted before the commit. Each step is safe to
repeat: a version that was prepared and never committed is dropped with the next commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from reconciler.proxy.errors import ProxyError, quoted
from reconciler.proxy.haproxy.gateway.maps import lines_of
from reconciler.proxy.haproxy.gateway.render import map_path
from reconciler.proxy.haproxy.socket import CURRENT, Master, Payload, ask

__all__ = ["read_map", "replace_map"]

CHUNK_BYTES: Final = 12 * 1024
"""Bytes of one payload: HAProxy reads it into a buffer, and the smallest one has 16 KiB."""

_VERSION: Final = re.compile(r"New version created: ([0-9]{1,9})")
_DONE: Final = ""


def replace_map(master: Master, name: str, entries: Mapping[str, str]) -> None:
    """Make these the entries of a map of the current worker. Raises ProxyError, and then the old ones are still there."""
    path = map_path(name)
    if read_map(master, name) == dict(entries):
        return
    (answer,) = ask(master, [f"{CURRENT} prepare map {path}"])
    if not (created := _VERSION.fullmatch(answer)):
        raise ProxyError(f"HAProxy in slot {master.slot} cannot change the map {name}: {quoted(answer)}")
    version = created[1]
    chunks = [Payload(f"{CURRENT} add map @{version} {path}", chunk) for chunk in _chunks(lines_of(entries))]
    *added, shown = ask(master, [*chunks, f"{CURRENT} show map @{version} {path}"])
    if refused := next((each for each in added if each != _DONE), None):
        raise ProxyError(
            f"HAProxy in slot {master.slot} refuses an entry of the map {name}: {quoted(refused)}"
        )
    if (present := len(shown.splitlines())) != len(entries):
        raise ProxyError(
            f"HAProxy in slot {master.slot} has {present} of {len(entries)} new entries of the map {name}"
        )
    (committed,) = ask(master, [f"{CURRENT} commit map @{version} {path}"])
    if committed != _DONE:
        raise ProxyError(f"HAProxy in slot {master.slot} did not commit the map {name}: {quoted(committed)}")


def read_map(master: Master, name: str) -> dict[str, str]:
    """The entries of a map of the current worker. Raises ProxyError."""
    (answer,) = ask(master, [f"{CURRENT} show map {map_path(name)}"])
    entries = {}
    for line in answer.splitlines():
        _, _, entry = line.partition(" ")
        key, separator, value = entry.partition(" ")
        if not separator:
            raise ProxyError(f"HAProxy in slot {master.slot} has no map {name}: {quoted(answer)}")
        entries[key] = value
    return entries


def _chunks(lines: Sequence[str]) -> Iterator[tuple[str, ...]]:
    chunk: list[str] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) >= CHUNK_BYTES:
            yield tuple(chunk)
            chunk, size = [], 0
        chunk.append(line)
        size += len(line) + 1
    if chunk:
        yield tuple(chunk)
