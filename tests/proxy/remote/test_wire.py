"""The connections of a Wire that wait for the next call."""

from __future__ import annotations

import gc
import http.client
import socket
import time
from typing import Any

import pytest

from reconciler.proxy.remote.wire import Peer, Wire, _Watchdog


def test_they_end_with_the_last_reference_to_it() -> None:
    nothing: Any = None
    here, there = socket.socketpair()
    connection = http.client.HTTPConnection("node.test")
    connection.sock = here
    wire = Wire(Peer("node", "node.test", 9443, "node", nothing, nothing))
    wire._give_back(connection)
    assert here.fileno() != -1
    del wire
    gc.collect()
    assert here.fileno() == -1
    there.close()


def test_a_deadline_after_the_connection_was_closed_is_only_told() -> None:
    """The timer runs in a thread of its own, where an error would be lost."""
    watchdog = _Watchdog(http.client.HTTPConnection("node.test"), time.monotonic())
    watchdog._bite()
    with pytest.raises(TimeoutError):
        watchdog.check()
