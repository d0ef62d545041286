"""Changes the maps of a running HAProxy. All entries of one map become visible with one commit.

Several maps change in an order in which no request meets half of a change: what a new route needs is there before the
route is, and stays until the last route that needs it is gone. HAProxy swallows a line that it does not understand, so
the entries are counted before a commit. Each step is safe to repeat: a version that was never committed is dropped with
the next commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from reconciler.proxy.errors import ProxyError, quoted
from reconciler.proxy.haproxy.chunks import in_chunks
from reconciler.proxy.haproxy.gateway.maps import LEADING, SEPARATOR, Maps, lines_of
from reconciler.proxy.haproxy.gateway.pools import POOL_NAME
from reconciler.proxy.haproxy.gateway.render import map_path
from reconciler.proxy.haproxy.socket import CURRENT, Master, Payload, ask, ask_worker
from reconciler.proxy.haproxy.stats import read_info

__all__ = ["change_maps", "led_to", "read_map", "read_maps", "read_pools", "replace_map", "set_entries"]

PAIR: Final = ("allowed", "networks")
"""A client is looked up in the second one first, and what is found there in the first."""

CHUNK_BYTES: Final = 12 * 1024
"""Bytes of one payload: HAProxy reads it into a buffer, and the smallest one has 16 KiB."""

_VERSION: Final = re.compile(r"New version created: ([0-9]{1,9})")
_ENTRY: Final = re.compile(r"0x[0-9a-f]{1,16} (\S+) (\S+)")
_POOL: Final = re.compile(POOL_NAME)
_DONE: Final = ""


def change_maps(master: Master, wanted: Maps) -> None:
    """Make these the maps of the current worker, as far as it has them: one that was started by another release gets the
    others with a reload. Raises ProxyError; a repetition then does what is left.
    """
    present = read_maps(master, wanted)
    wanted = {name: wanted[name] for name in present}
    others = [name for name in wanted if name not in (*LEADING, *PAIR)]
    for name in (*filter(wanted.__contains__, PAIR), *others):
        _replace(master, name, present[name], {**present[name], **wanted[name]})
    for name in filter(wanted.__contains__, LEADING):
        _replace(master, name, present[name], wanted[name])
    for name in (*filter(wanted.__contains__, reversed(PAIR)), *others):
        _replace(master, name, {**present[name], **wanted[name]}, wanted[name])


def replace_map(master: Master, name: str, entries: Mapping[str, str]) -> None:
    """Make these the entries of a map of the current worker. Raises ProxyError, and then the old ones are still there."""
    _replace(master, name, read_map(master, name), entries)


def led_to(master: Master) -> frozenset[str]:
    """The pools that routes of the current worker lead to. Raises ProxyError."""
    targets = (target for entries in read_maps(master, LEADING).values() for target in entries.values())
    return frozenset(target.split(SEPARATOR)[1] for target in targets)


def read_pools(master: Master) -> frozenset[str]:
    """The pools that the current worker has. Raises ProxyError."""
    (answer,) = ask(master, [f"{CURRENT} show backend"])
    return frozenset(filter(_POOL.fullmatch, answer.splitlines()))


def set_entries(master: Master, entries: Maps) -> None:
    """Give these keys of maps these values in the current worker, whatever else the maps have. Raises ProxyError."""
    for name, pairs in entries.items():
        path = map_path(name)
        for (key, value), line in zip(sorted(pairs.items()), lines_of(pairs), strict=True):
            # A command ends at ';', a line of a payload does not.
            change = "del map" if ";" in line else "set map"
            (answer,) = ask(master, [f"{CURRENT} {change} {path} {key}{'' if ';' in line else f' {value}'}"])
            if change == "set map" and answer == _DONE:
                continue
            (added,) = ask(master, [Payload(f"{CURRENT} add map {path}", (line,))])
            if added != _DONE:
                raise ProxyError(
                    f"HAProxy in slot {master.slot} refuses an entry of the map {name}: {quoted(added)}"
                )


def _replace(master: Master, name: str, present: Mapping[str, str], entries: Mapping[str, str]) -> None:
    if present == entries:
        return
    path = map_path(name)
    (answer,) = ask(master, [f"{CURRENT} prepare map {path}"])
    if not (created := _VERSION.fullmatch(answer)):
        raise ProxyError(f"HAProxy in slot {master.slot} cannot change the map {name}: {quoted(answer)}")
    version = created[1]
    chunks = [
        Payload(f"{CURRENT} add map @{version} {path}", chunk)
        for chunk in in_chunks(lines_of(entries), CHUNK_BYTES)
    ]
    *added, shown = ask(master, [*chunks, f"{CURRENT} show map @{version} {path}"])
    if refused := next((each for each in added if each != _DONE), None):
        raise ProxyError(
            f"HAProxy in slot {master.slot} refuses an entry of the map {name}: {quoted(refused)}"
        )
    if (counted := len(shown.splitlines())) != len(entries):
        raise ProxyError(
            f"HAProxy in slot {master.slot} has {counted} of {len(entries)} new entries of the map {name}"
        )
    (committed,) = ask(master, [f"{CURRENT} commit map @{version} {path}"])
    if committed != _DONE:
        raise ProxyError(f"HAProxy in slot {master.slot} did not commit the map {name}: {quoted(committed)}")


def read_map(master: Master, name: str) -> dict[str, str]:
    """The entries of a map of the current worker. Raises ProxyError."""
    (answer,) = ask(master, [f"{CURRENT} show map {map_path(name)}"])
    if (entries := _entries(answer)) is None:
        raise ProxyError(f"HAProxy in slot {master.slot} has no map {name}: {quoted(answer)}")
    return entries


def read_maps(master: Master, names: Iterable[str], pid: int = 0) -> dict[str, dict[str, str]]:
    """Those of these maps that the current worker has, in one round trip. Raises ProxyError.

    With its `pid` it is asked over its own socket, which is quicker where it has to wait for a processor: its master passes
    on one command at a time.
    """
    wanted = tuple(names)
    commands = [f"show map {map_path(name)}" for name in wanted]
    answers = _asked_directly(master, commands, pid) if pid else ()
    answers = answers or ask(master, [f"{CURRENT} {command}" for command in commands])
    found = {name: _entries(answer) for name, answer in zip(wanted, answers, strict=True)}
    return {name: entries for name, entries in found.items() if entries is not None}


def _asked_directly(master: Master, commands: Sequence[str], pid: int) -> tuple[str, ...]:
    """The answers of the worker with this process ID; none if another one listens."""
    with suppress(ProxyError, ValueError):
        told, *answers = ask_worker(master, ["show info", *commands])
        if read_info(told).pid == pid:
            return tuple(answers)
    return ()


def _entries(answer: str) -> dict[str, str] | None:
    entries = {}
    for line in answer.splitlines():
        if not (entry := _ENTRY.fullmatch(line)):
            return None
        entries[entry[1]] = entry[2]
    return entries
