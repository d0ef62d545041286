"""Clients that never retry: an open loop of raw-socket requests, and the ledger of what became of each.

A request is due at its time whether or not the ones before it were answered, so that a pause shows as what it is.
Keep-alive and fresh connections, GET and POST, slow answers and WebSockets take turns in a fixed pattern. Every
request carries an ID of its own, by which `verify` compares this ledger with that of the replicas.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import ssl
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

RATE: Final = 220.0
"""Requests per second that are begun; the proofs ask for 200."""
ANSWER_SECONDS: Final = 90.0
"""Longer than HAProxy holds a request: a client gives up only on what was really lost."""
SLOW_MS: Final = 2000
ECHOES: Final = 10
ECHO_PAUSE: Final = 0.2
KEPT_SECONDS: Final = 20.0
"""How long a client keeps an idle connection. HAProxy closes it after 30 s, and no server can save a request that is under
way by then: RFC 9112, 9.5, leaves the race to the client."""
BODY: Final = b"x" * 64
CALM_SECONDS: Final = 0.5
"""Load before and after what is tried, so that its first and last moments are under load too."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of request; `share` is how many of a hundred."""

    name: str
    method: str
    path: str
    share: int
    keep_alive: bool = False


FRESH_GET: Final = Kind("fresh GET", "GET", "/", 34)
KEPT_GET: Final = Kind("keep-alive GET", "GET", "/", 34, keep_alive=True)
FRESH_POST: Final = Kind("fresh POST", "POST", "/echo", 15)
KEPT_POST: Final = Kind("keep-alive POST", "POST", "/echo", 15, keep_alive=True)
SLOW: Final = Kind("slow GET", "GET", f"/slow?ms={SLOW_MS}", 1)
WEBSOCKET: Final = Kind("WebSocket", "GET", "/ws", 1)
MIX: Final = (FRESH_GET, KEPT_GET, FRESH_POST, KEPT_POST, SLOW, WEBSOCKET)


@dataclass(slots=True)
class Shot:
    """One request and what became of it; `lost` says why it was not answered well. Times are monotonic seconds."""

    id: str
    kind: Kind
    began: float
    host: str = "127.0.0.1"
    ended: float = 0.0
    replica: str = ""
    lost: str = "never answered"

    @property
    def seconds(self) -> float:
        """How long its answer took."""
        return self.ended - self.began

    @property
    def is_bound(self) -> bool:
        """Whether it must not run elsewhere when its replica dies: it can change something, or its answer has begun."""
        return self.kind.method != "GET" or self.kind is WEBSOCKET or bool(self.replica)

    def __str__(self) -> str:
        return f"{self.kind.name} {self.id} by {self.replica or 'no replica'} after {self.seconds:.2f} s: {self.lost}"


class LostError(Exception):
    """A request did not get its answer."""


@dataclass
class Connection:
    """One TCP connection of a client, and when it was last put aside."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: str = ""
    idle_since: float = 0.0

    async def ask(self, head: str, body: bytes = b"") -> tuple[int, dict[str, str]]:
        """Send a request and read the head of its answer."""
        self.writer.write(head.encode() + body)
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        return int(status.split()[1]), {name.lower(): value for name, value in headers.items()}

    async def body(self, headers: dict[str, str]) -> bytes:
        """The body of an answer, whole."""
        return await self.reader.readexactly(int(headers["content-length"]))

    def close(self) -> None:
        """Let go of it without waiting for the other side, of which TLS would expect a farewell."""
        self.writer.transport.abort()


@dataclass
class Load:
    """The clients of one published port. Use as a context manager; `shots` is complete after it.

    After `patience` seconds a client gives up. With several `hosts` they take turns, and so do new connections with several
    `addresses` of machines. With `tls` it is TLS, for the name of the first host.
    """

    port: int
    rate: float = RATE
    mix: tuple[Kind, ...] = MIX
    patience: float = ANSWER_SECONDS
    hosts: tuple[str, ...] = ("127.0.0.1",)
    addresses: tuple[str, ...] = ("127.0.0.1",)
    tls: ssl.SSLContext | None = None
    shots: list[Shot] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._idle: list[Connection] = []
        self._turns = itertools.cycle(self.addresses)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._fire()), name="load")
        self.began = self.ended = 0.0

    def __enter__(self) -> Load:
        self.began = time.monotonic()
        self._thread.start()
        time.sleep(CALM_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            time.sleep(CALM_SECONDS)
        self.ended = time.monotonic()
        self._stop.set()
        self._thread.join(self.patience + 10)

    def through(self, *addresses: str) -> None:
        """Have the clients use these addresses from now on, also instead of connections that they keep."""
        self.addresses, self._turns = addresses, itertools.cycle(addresses)

    # What became of it

    @property
    def lost(self) -> list[Shot]:
        """The requests that did not get the answer that they should."""
        return [shot for shot in self.shots if shot.lost]

    @property
    def seconds(self) -> float:
        """How long requests were begun."""
        return self.ended - self.began

    @property
    def slowest(self) -> float:
        """The longest answer in seconds, of those that are not slow by themselves."""
        return max(shot.seconds for shot in self.shots if shot.kind not in (SLOW, WEBSOCKET))

    def replicas(self, since: float = 0.0) -> set[str]:
        """Who answered the requests that began after `since`, a time.monotonic()."""
        return {shot.replica for shot in self.shots if shot.began >= since and not shot.lost}

    def faults(self, ledger: Iterable[str]) -> list[str]:
        """What is wrong between this ledger and that of the replicas, one line for each; see `read_ledger`."""
        runs = Counter(ledger)
        faults = [str(shot) for shot in self.lost]
        for shot in self.shots:
            if not shot.lost and not runs[shot.id]:
                faults.append(f"{shot.kind.name} {shot.id} was answered, but no replica ran it")
            if shot.kind.method == "POST" and runs[shot.id] > 1:
                faults.append(f"{shot.kind.name} {shot.id} was run {runs[shot.id]} times")
        return faults

    # The clients

    async def _fire(self) -> None:
        pattern = _interleaved(self.mix)
        running: set[asyncio.Task[None]] = set()
        started = time.monotonic()
        while not self._stop.is_set():
            due = int((time.monotonic() - started) * self.rate)
            for number in range(len(self.shots), due):
                turn, place = divmod(number, len(pattern))
                # Each host gets each kind.
                host = self.hosts[(turn + place) % len(self.hosts)]
                shot = Shot(uuid.uuid4().hex, pattern[place], time.monotonic(), host)
                self.shots.append(shot)
                task = asyncio.create_task(self._shoot(shot))
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.sleep(0.002)
        if running:
            await asyncio.wait(running, timeout=self.patience)
        for connection in self._idle:
            connection.close()

    async def _shoot(self, shot: Shot) -> None:
        try:
            async with asyncio.timeout(self.patience):
                await (self._talk(shot) if shot.kind is WEBSOCKET else self._request(shot))
            shot.lost = ""
        except (OSError, EOFError, TimeoutError, LostError, ValueError) as error:
            shot.lost = f"{type(error).__name__}: {error}"
        finally:
            shot.ended = time.monotonic()

    async def _request(self, shot: Shot) -> None:
        kind = shot.kind
        connection = (self._kept() if kind.keep_alive else None) or await self._connect()
        reusable = False
        try:
            body = BODY if kind.method == "POST" else b""
            status, headers = await connection.ask(self._head(shot, len(body)), body)
            shot.replica = headers.get("x-replica", "")
            answer = await connection.body(headers)
            if status != 200:
                raise LostError(f"status {status}")
            if kind.method == "POST" and answer != body:
                raise LostError(f"{len(answer)} bytes of an echo of {len(body)}")
            reusable = kind.keep_alive and headers.get("connection") != "close"
        finally:
            if reusable:
                connection.idle_since = time.monotonic()
                self._idle.append(connection)
            else:
                connection.close()

    def _head(self, shot: Shot, length: int) -> str:
        return (
            f"{shot.kind.method} {shot.kind.path} HTTP/1.1\r\nHost: {shot.host}\r\nX-Request-ID: {shot.id}\r\n"
            + (f"Content-Length: {length}\r\n" if length else "")
            + ("" if shot.kind.keep_alive else "Connection: close\r\n")
            + "\r\n"
        )

    async def _connect(self) -> Connection:
        address, name = next(self._turns), self.hosts[0] if self.tls else None
        streams = await asyncio.open_connection(address, self.port, ssl=self.tls, server_hostname=name)
        return Connection(*streams, address)

    def _kept(self) -> Connection | None:
        """An idle connection. One that the other side has closed while it was idle has lost nothing."""
        while self._idle:
            connection = self._idle.pop()
            idle = time.monotonic() - connection.idle_since
            is_usable = idle < KEPT_SECONDS and not connection.reader.at_eof()
            if is_usable and connection.address in self.addresses:
                return connection
            connection.close()
        return None

    async def _talk(self, shot: Shot) -> None:
        """Open a WebSocket, have it echo for a while, and close it the way RFC 6455 says."""
        connection = await self._connect()
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            status, headers = await connection.ask(
                f"GET /ws HTTP/1.1\r\nHost: {shot.host}\r\nX-Request-ID: {shot.id}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
            )
            shot.replica = headers.get("x-replica", "")
            if status != 101:
                raise LostError(f"status {status}")
            for number in range(ECHOES):
                message = f"{shot.id} {number}".encode()
                connection.writer.write(frame(TEXT, message))
                if (echo := await _read_frame(connection.reader)) != (TEXT, message):
                    raise LostError(f"echo {number} is {echo!r}")
                await asyncio.sleep(ECHO_PAUSE)
            connection.writer.write(frame(CLOSE, b"\x03\xe8"))
            if (farewell := await _read_frame(connection.reader))[0] != CLOSE:
                raise LostError(f"farewell is {farewell!r}")
        finally:
            connection.close()


TEXT: Final = 1
CLOSE: Final = 8


def frame(opcode: int, payload: bytes) -> bytes:
    """A final, masked frame of fewer than 126 bytes."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    return first & 0x0F, await reader.readexactly(length)


def _interleaved(mix: Iterable[Kind]) -> tuple[Kind, ...]:
    """Each kind as often as its share, spread evenly."""
    places = [
        ((turn + 0.5) / kind.share, order, kind)
        for order, kind in enumerate(mix)
        for turn in range(kind.share)
    ]
    return tuple(kind for _, _, kind in sorted(places, key=lambda place: place[:2]))


def read_ledger(directory: Path) -> list[str]:
    """The IDs of the requests that replicas began to run, as often as they did; files are whoami's LEDGER."""
    lines = [line for path in directory.iterdir() for line in path.read_text().splitlines()]
    return [line.split()[0] for line in lines]
