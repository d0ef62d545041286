"""A verb that waits is told of changes, and asks from time to time where it cannot be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from reconciler.api.errors import TemporaryError
from reconciler.api.kinds import KINDS
from reconciler.cli.remote import watching as module
from reconciler.cli.remote.watching import watching

SOON = 10.0


class Server:
    """Watches that tell what tests put in; `away` refuses them."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.told = threading.Condition()
        self.number = 0
        self.open = 0
        self.forgotten = 0
        self.sockets: list[Any] = []

    def lines(self, path: str, begun: Callable[[Any], None], **query: str) -> Iterator[str]:
        assert query["watch"] == query["sendInitialEvents"] == "true"
        if self.away:
            raise TemporaryError("it is away")
        import socket

        ours, theirs = socket.socketpair()
        self.sockets.append(theirs)
        begun(ours)
        yield "initial events end"
        with ours, theirs:
            self.open += 1
            while ours.recv(1):
                yield "changed"
            self.open -= 1

    def change(self) -> None:
        for each in self.sockets:
            each.send(b"x")

    def forget(self) -> None:
        self.forgotten += 1


@contextmanager
def waiting(server: Server) -> Iterator[Any]:
    with watching(server, server) as changes:  # type: ignore[arg-type]
        yield changes


def until(what: Callable[[], Any]) -> None:
    deadline = time.monotonic() + SOON
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def test_a_change_ends_a_wait_and_so_does_the_beginning_of_a_watch() -> None:
    server = Server()
    with waiting(server) as changes:
        until(lambda: server.open == len(KINDS))
        changes.wait(SOON)
        # Nothing is left of the beginning.
        changes.wait(0.0)
        done = threading.Event()

        def wait() -> None:
            changes.wait(SOON)
            done.set()

        threading.Thread(target=wait, daemon=True).start()
        server.change()
        assert done.wait(SOON)
        assert server.forgotten == 3
    # The end of the block ends the watches.
    until(lambda: server.open == 0)


def test_without_a_watch_it_asks_from_time_to_time(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "BLIND_SECONDS", 0.01)
    server = Server(away=True)
    with waiting(server) as changes:
        for _ in range(3):
            changes.wait(SOON)
    assert server.forgotten == 3


def test_a_watch_that_ends_is_begun_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.01)
    server = Server()
    with waiting(server):
        until(lambda: len(server.sockets) == len(KINDS))
        for each in tuple(server.sockets):
            each.shutdown(2)
        until(lambda: len(server.sockets) == 2 * len(KINDS))
