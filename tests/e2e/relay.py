"""A way to the engine that can be disturbed: it keeps Docker's events to itself, cuts the connection they come by, or
passes on nothing for a while."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.e2e.listener import Listener

ENGINE: Final = "/var/run/docker.sock"
CHUNK: Final = 65536


class Relay(Listener):
    """Listens on a UNIX socket of its own and passes everything on to the engine, byte by byte."""

    def __init__(self, path: Path, engine: str = ENGINE) -> None:
        self._engine = engine
        self._streams: list[socket.socket] = []
        self._withholding = False
        self.withheld = 0
        self.requests = 0
        self._flowing = threading.Event()
        self._flowing.set()
        super().__init__(path)

    def withhold_events(self) -> None:
        """From now on events are read and forgotten; the stream stays open, as after a silent failure."""
        self._withholding = True

    def cut_events(self) -> None:
        """End every event stream there is; later ones are passed on again."""
        self._withholding = False
        for stream in self._streams:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        self._streams.clear()

    def stall(self) -> None:
        """From now on the engine seems to hang: connections are taken and nothing is passed on."""
        self._flowing.clear()

    def flow(self) -> None:
        """Go on where everything was left."""
        self._flowing.set()

    def close(self) -> None:
        """Listen no more, and end what is left of the event streams."""
        self.flow()
        self.cut_events()
        super().close()

    def serve(self, client: socket.socket) -> None:
        """Pass everything on, in both directions."""
        with client, socket.socket(socket.AF_UNIX) as engine, suppress(OSError):
            engine.connect(self._engine)
            while True:
                ready = select.select([client, engine], [], [])[0]
                self._flowing.wait()
                for source in ready:
                    if not (chunk := source.recv(CHUNK)):
                        return
                    if source is client:
                        self._pass_on(chunk, client, engine)
                    elif self._withholding and client in self._streams:
                        self.withheld += 1
                    else:
                        client.sendall(chunk)

    def _pass_on(self, chunk: bytes, client: socket.socket, engine: socket.socket) -> None:
        # Whoever waits for each answer says each request in one piece, or at least more than nothing.
        self.requests += 1
        if b"/events?" in chunk.partition(b"\r\n")[0]:
            self._streams.append(client)
        engine.sendall(chunk)
