"""A real ACME server (pebble) that is away for a minute when certificates are due: it is asked seldom, all that there is
serves meanwhile, and the renewals go on when it is back.

Only the clock of the renewals is the test's: it is ahead by as long as certificates last, and a minute takes no time.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from reconciler.certificates.errors import Why
from tests.certificates.pebble import Pebble, running
from tests.proxy.haproxy.gateway.conftest import HTTP, HTTPS, GatewayWorld
from tests.proxy.haproxy.gateway.issuing import Gateway, gateway, handshakes, s_client, wants

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker

NAMES: Final = ("a.example.org", "b.example.org", "c.example.org")
AWAY_SECONDS: Final = 60.0
STEPS: Final = 400


class Clock:
    """The real time, with what was added to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Closed:
    """In the place of a server: `asked` counts connections, each of which is closed at once."""

    def __init__(self, port: int) -> None:
        self.asked = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._close_all)
        self._thread.start()

    def _close_all(self) -> None:
        with suppress(OSError):
            while True:
                self._listener.accept()[0].close()
                self.asked += 1

    def end(self) -> None:
        """Free the port."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)


@contextmanager
def away(pebble: Pebble) -> Iterator[Closed]:
    """The server is away for the time of the block, and comes back without any account or order."""
    pebble.stop()
    closed = Closed(pebble.port)
    try:
        yield closed
    finally:
        closed.end()
    pebble.start()


def finished(gate: Gateway, clock: Clock, before: dict[str, str]) -> dict[str, str]:
    """Go on until each host has another certificate than before; waits that are planned take no time."""
    for _ in range(STEPS):
        seconds = gate.step()
        found = fingerprints(gate)
        if found.keys() == set(NAMES) and all(found[name] != before.get(name) for name in NAMES):
            return found
        if seconds > 1:
            clock.ahead += timedelta(seconds=seconds)
        else:
            # The server checks the names meanwhile.
            time.sleep(seconds)
    raise AssertionError(gate.serving)


def fingerprints(gate: Gateway) -> dict[str, str]:
    assert gate.serving
    return {host: held.bundle.certificate.fingerprints[0] for host, held in gate.serving.hosts.items()}


def test_a_minute_without_the_server_when_certificates_are_due(
    front: GatewayWorld, namespace: tuple[str, str], replicas: dict[str, Replica], tmp_path: Path
) -> None:
    front.serve({"hostnames": list(NAMES)}, replicas=[replicas["one"], replicas["two"]])
    clock, root = Clock(), tmp_path / "root.pem"
    with (
        running(tmp_path, namespace[1], HTTP, HTTPS) as pebble,
        gateway(front, tmp_path, pebble.acme(), clock=clock, is_stepped=True) as gate,
    ):
        root.write_text(pebble.root())
        gate.wants = wants(*NAMES)
        first = finished(gate, clock, {})
        # Two thirds of 90 days, with the jitter.
        clock.ahead += timedelta(days=63)
        pauses = []
        with handshakes(front, root, NAMES) as load:
            with away(pebble) as closed:
                back = clock() + timedelta(seconds=AWAY_SECONDS)
                while (now := clock()) < back:
                    seconds = gate.step()
                    pauses.append(seconds)
                    asked = closed.asked
                    # It waits, whatever wakes it.
                    assert gate.step() <= seconds
                    assert closed.asked == asked
                    clock.ahead += min(timedelta(seconds=seconds), back - now)
                serving = gate.look()
                assert {each.why for each in serving.troubles} == {Why.ACME_AWAY}
                assert fingerprints(gate) == first
                assert serving.secured == set(NAMES)
                # At once, after some 5 s and some 15 s more: not once for each name, and not all the time.
                assert 3 <= len(pauses) <= 4
                assert closed.asked <= 2 * len(pauses)
            assert sorted(pauses[:3]) == pauses[:3]
            assert 5 <= pauses[0] <= 7
        assert load.made
        assert load.lost == []

        second = finished(gate, clock, first)
        assert gate.look().troubles == ()
        assert not {*first.values()} & {*second.values()}
        root.write_text(pebble.root())
        for name in NAMES:
            assert "Verify return code: 0 (ok)" in s_client(front, root, name)
    front.serve()
