"""Clients that stay for long: a WebSocket, a stream of events, a slow answer, a download. Each says what it missed, if it
was cut.
"""

from __future__ import annotations

import base64
import http.client
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.e2e.load import CLOSE, TEXT, frame

PAUSE: Final = 0.1
SILENCE: Final = 30.0
"""Seconds without a byte after which a stream counts as cut."""
BLOCK: Final = 1 << 20
"""Bytes of what the streamer sends at once."""


@dataclass
class Companion:
    """A client with a thread of its own that talks until it is told to end. `cut` says why it could not go on."""

    host: str
    port: int
    address: str = "127.0.0.1"
    cut: str = ""
    count: int = 0
    _done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self._thread.start()

    def end(self, within: float = SILENCE) -> str:
        """Have it end as its protocol says; returns what went wrong."""
        self._done.set()
        self._thread.join(within)
        if self._thread.is_alive():
            return self.cut or f"does not end after {within:g} s"
        return self.cut

    def _run(self) -> None:
        try:
            self._talk()
        except (OSError, EOFError, ValueError, http.client.HTTPException) as error:
            self.cut = f"{type(self).__name__} after {self.count}: {type(error).__name__}: {error}"

    def _talk(self) -> None:
        raise NotImplementedError

    @contextmanager
    def _asked(self, path: str) -> Iterator[http.client.HTTPResponse]:
        with closing(http.client.HTTPConnection(self.address, self.port, timeout=SILENCE)) as connection:
            connection.request("GET", path, headers={"Host": self.host})
            with connection.getresponse() as answer:
                if answer.status != 200:
                    raise ValueError(f"status {answer.status}")
                yield answer


class WebSocket(Companion):
    """Has its messages echoed; `count` are the echoes."""

    def _talk(self) -> None:
        with (
            socket.create_connection((self.address, self.port), timeout=SILENCE) as connection,
            connection.makefile("rb") as reader,
        ):
            key = base64.b64encode(os.urandom(16)).decode()
            connection.sendall(
                f"GET /ws HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            if b" 101 " not in (status := reader.readline()):
                raise ValueError(f"answer {status!r}")
            while reader.readline() not in (b"\r\n", b""):
                pass
            while not self._done.wait(PAUSE):
                connection.sendall(frame(TEXT, message := str(self.count).encode()))
                if (echo := reader.read(2 + len(message))[2:]) != message:
                    raise ValueError(f"echo {echo!r}")
                self.count += 1
            connection.sendall(frame(CLOSE, b"\x03\xe8"))
            if not (farewell := reader.read(2)).startswith(bytes([0x80 | CLOSE])):
                raise ValueError(f"farewell {farewell!r}")


class Events(Companion):
    """Reads server-sent events; `count` are those that came, each with the next number."""

    def _talk(self) -> None:
        with self._asked("/events") as answer:
            while not self._done.is_set():
                number, *_ = answer.readline(), answer.readline(), answer.readline()
                if number != f"id: {self.count}\n".encode():
                    raise ValueError(f"event {number!r}")
                self.count += 1


@dataclass
class Answer(Companion):
    """Reads an answer of whoami that takes `seconds`; `count` are the pieces of it that came."""

    seconds: int = 10

    def _talk(self) -> None:
        with self._asked(f"/stream?seconds={self.seconds}") as answer:
            last = b""
            while piece := answer.readline():
                last = piece
                self.count += 1
            if last != b"end\n":
                raise EOFError(f"ended with {last!r}")


@dataclass
class Download(Companion):
    """Reads `blocks` of a MiB slowly, at the latest until `share` of them are there, and the rest when it is told to end;
    `count` are the blocks that came whole.
    """

    blocks: int = 100
    share: float = 0.0

    def _talk(self) -> None:
        with self._asked(f"/download?blocks={self.blocks}") as answer:
            for number in range(self.blocks):
                block = bytearray()
                while len(block) < BLOCK:
                    # Never quite silent: one that reads nothing is ended by the gateway's own timeout.
                    some = 1 << 14 if self._is_early(number) else BLOCK
                    if not (got := answer.read(min(some, BLOCK - len(block)))):
                        raise EOFError(f"ended in block {number}")
                    block += got
                if block[:8] != number.to_bytes(8, "big"):
                    raise ValueError(f"block {block[:8].hex()} in place of {number}")
                self.count += 1

    def _is_early(self, number: int) -> bool:
        is_early = number >= self.share * self.blocks and not self._done.is_set()
        if is_early:
            time.sleep(PAUSE)
        return is_early
