"""Passes on what an agent's HAProxies say of their servers, to where the loop hears it from those of its own machine.

The loop listens on a socket in the directory of each site (haproxy/events.py), so a line of another node is one datagram
more there. Events only make passes earlier: what cannot be passed on is dropped.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.config import EVENTS_SOCKET
from reconciler.proxy.haproxy.directory import opened
from reconciler.proxy.remote.calls import NextEvents
from reconciler.proxy.remote.line import Line
from reconciler.proxy.remote.values import SiteKey

__all__ = ["follow"]

POLL_SECONDS: Final = 20.0
"""How long an agent may wait for a line before it answers that there was none."""
ANSWER_SECONDS: Final = 5.0
AWAY_SECONDS: Final = 5.0
"""Between two tries to reach an agent that does not answer."""
REST_SECONDS: Final = 0.05
"""Between two questions, however many lines there are: an agent that has always one more keeps no processor busy."""


def follow(line: Line, config: Callable[[SiteKey], Path], stop: threading.Event) -> None:
    """Ask an agent for lines until `stop` is set. `config` is the directory of a site's configuration on this machine."""
    while not stop.is_set():
        try:
            told = line.ask(
                NextEvents(seconds=POLL_SECONDS), time.monotonic() + POLL_SECONDS + ANSWER_SECONDS
            )
        except ProxyError:
            # Whether it is away is said elsewhere.
            stop.wait(AWAY_SECONDS)
            continue
        _pass_on(told, config)
        stop.wait(REST_SECONDS)


def _pass_on(told: Iterable[tuple[SiteKey, str]], config: Callable[[SiteKey], Path]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for key, text in told:
            # Nothing listens, or it has not read the former ones yet.
            with suppress(OSError), opened(config(key)) as directory:
                sender.sendto(text.encode(), f"/proc/self/fd/{directory}/{EVENTS_SOCKET}")
