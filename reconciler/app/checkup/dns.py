"""Where host names lead to, asked all at once and with a deadline: a name server that is away must not hold a check up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

__all__ = ["Lookup", "look_up", "own_addresses", "system_resolver"]

DEADLINE: Final = 10.0
"""Seconds for all names together."""
MOST_AT_ONCE: Final = 32


@dataclass(frozen=True)
class Lookup:
    """The addresses of a name; none and a `problem` when it does not resolve, or was not answered in time."""

    addresses: frozenset[str] = frozenset()
    problem: str = ""


Resolve = Callable[[str], frozenset[str]]
"""The addresses of a name. Raises OSError."""


def system_resolver(name: str) -> frozenset[str]:
    """The addresses of a name as programs of this machine find them."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return frozenset(str(address[0]).partition("%")[0] for *_, address in found)


def look_up(
    names: Collection[str], resolve: Resolve = system_resolver, deadline: float = DEADLINE
) -> Mapping[str, Lookup]:
    """The addresses of these names, after `deadline` seconds at most."""
    waiting: SimpleQueue[str] = SimpleQueue()
    answers: SimpleQueue[tuple[str, Lookup]] = SimpleQueue()
    for name in names:
        waiting.put(name)

    def work() -> None:
        while True:
            try:
                name = waiting.get_nowait()
            except Empty:
                return
            try:
                answers.put((name, Lookup(resolve(name))))
            except (OSError, UnicodeError) as error:
                answers.put((name, Lookup(problem=getattr(error, "strerror", None) or str(error))))

    # The resolver has no timeout of its own. A thread that waits for it must not keep the command from ending.
    for _ in range(min(len(names), MOST_AT_ONCE)):
        threading.Thread(target=work, name="dns", daemon=True).start()
    end = time.monotonic() + deadline
    found: dict[str, Lookup] = {}
    while len(found) < len(names):
        try:
            name, answer = answers.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            break
        found[name] = answer
    late = Lookup(problem=f"no answer within {deadline:g} s")
    return {name: found.get(name, late) for name in names}


def own_addresses() -> frozenset[str]:
    """All addresses of this machine."""
    import psutil

    families = (socket.AF_INET, socket.AF_INET6)
    return frozenset(
        each.address.partition("%")[0]
        for interface in psutil.net_if_addrs().values()
        for each in interface
        if each.family in families
    )
