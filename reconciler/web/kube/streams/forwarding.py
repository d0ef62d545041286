"""`kubectl port-forward`: connections to ports of a container, by one WebSocket.

kubectl sends frames of SPDY in it, with two streams for each connection: its data, and what went wrong. Older clients name
the ports in the request and have two channels for each.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from reconciler.web.kube.errors import bad_request
from reconciler.web.kube.streams.messages import received
from reconciler.web.kube.streams.spdy import Data, Framer, Opened, Ping, Reset, SpdyError

__all__ = ["PROTOCOLS", "SPDY", "forward_channels", "forward_spdy"]

SPDY: Final = "SPDY/3.1+portforward.k8s.io"
PROTOCOLS: Final = (SPDY, "v4.channel.k8s.io")
CHUNK: Final = 32 * 1024
MAX_WAITING: Final = 256 * 1024
FRAME_BYTES: Final = 64
"""What a frame counts besides its data, of which it may have none."""
CONNECT_SECONDS: Final = 10.0
MAX_CONNECTIONS: Final = 100
MAX_PORTS: Final = 100
LAST_PORT: Final = 65535
BROKEN: Final = 1002

Send = Callable[[bytes], Awaitable[None]]


async def connect(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to a container. Raises OSError."""
    async with asyncio.timeout(CONNECT_SECONDS):
        return await asyncio.open_connection(host, port)


@dataclass
class _Connection:
    """One connection of a client: its streams, where it leads, and the task that reads from there."""

    error: int
    port: int
    data: int | None = None
    writer: asyncio.StreamWriter | None = None
    task: asyncio.Task[None] | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: deque[Data] = field(default_factory=deque)
    waiting_bytes: int = 0

    def end(self) -> None:
        if self.task is not None:
            self.task.cancel()
        if self.writer is not None:
            self.writer.close()


class _Session:
    """The connections of one WebSocket with SPDY."""

    def __init__(self, websocket: WebSocket, host: str, name: str) -> None:
        self._websocket = websocket
        self._host = host
        self._name = name
        self._framer = Framer()
        self._sending = asyncio.Lock()
        self._requests: dict[str, _Connection] = {}
        self._streams: dict[int, _Connection] = {}

    async def run(self) -> None:
        try:
            while True:
                for frame in self._framer.feed(await received(self._websocket)):
                    await self._take(frame)
        except WebSocketDisconnect:
            return
        except SpdyError:
            await self._websocket.close(BROKEN)
        finally:
            connections = list(self._requests.values())
            for each in connections:
                each.end()
            tasks = [each.task for each in connections if each.task is not None]
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, frame: Opened | Data | Reset | Ping) -> None:
        match frame:
            case Opened():
                await self._open(frame)
            case Data():
                await self._write(frame)
            case Reset():
                self._forget(frame.stream)
            case Ping():
                # Even numbers are answers to pings of ours, of which there are none.
                if frame.number % 2:
                    await self._send(self._framer.ping(frame.number))

    async def _open(self, frame: Opened) -> None:
        request, type_ = frame.headers.get("requestid", ""), frame.headers.get("streamtype")
        port = frame.headers.get("port", "")
        number = int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else 0
        known = self._requests.get(request)
        if type_ == "error" and known is None and 0 < number <= LAST_PORT:
            if len(self._requests) >= MAX_CONNECTIONS:
                await self._send(self._framer.reset(frame.stream))
                return
            self._requests[request] = self._streams[frame.stream] = _Connection(frame.stream, number)
            await self._send(self._framer.reply(frame.stream))
        elif type_ == "data" and known is not None and known.data is None:
            known.data = frame.stream
            self._streams[frame.stream] = known
            await self._send(self._framer.reply(frame.stream))
            known.task = asyncio.create_task(self._run(known, request))
        else:
            await self._send(self._framer.reset(frame.stream))

    async def _write(self, frame: Data) -> None:
        connection = self._streams.get(frame.stream)
        if connection is None or frame.stream != connection.data:
            return
        if connection.writer is not None:
            await self._pass_on(connection.writer, frame)
            return
        connection.waiting.append(frame)
        connection.waiting_bytes += len(frame.data) + FRAME_BYTES
        if connection.waiting_bytes > MAX_WAITING:
            # No more is kept for a connection that the container has not taken yet.
            await connection.settled.wait()

    async def _pass_on(self, writer: asyncio.StreamWriter, frame: Data) -> None:
        with suppress(OSError, RuntimeError):
            if frame.data:
                writer.write(frame.data)
                await writer.drain()
            if frame.ends and writer.can_write_eof():
                writer.write_eof()

    async def _run(self, connection: _Connection, request: str) -> None:
        """Read from the container until it ends."""
        assert connection.data is not None
        opened: asyncio.StreamWriter | None = None
        try:
            try:
                reader, writer = await connect(self._host, connection.port)
            except (OSError, TimeoutError) as error:
                why = f"error forwarding port {connection.port} to pod {self._name}: {_said(error)}"
                await self._send(self._framer.data(connection.error, why.encode(), ends=True))
                await self._send(self._framer.reset(connection.data))
                return
            opened = writer
            while connection.waiting:
                await self._pass_on(writer, connection.waiting.popleft())
            connection.writer = writer
            connection.settled.set()
            with suppress(OSError):
                while data := await reader.read(CHUNK):
                    await self._send(self._framer.data(connection.data, data))
            await self._send(self._framer.data(connection.data, b"", ends=True))
            await self._send(self._framer.data(connection.error, b"", ends=True))
        finally:
            connection.settled.set()
            if opened is not None:
                opened.close()
            self._requests.pop(request, None)
            for stream in (connection.error, connection.data):
                self._streams.pop(stream, None)

    def _forget(self, stream: int) -> None:
        connection = self._streams.get(stream)
        if connection is not None and stream == connection.data:
            connection.end()

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            await self._websocket.send_bytes(data)


async def forward_spdy(websocket: WebSocket, host: str, name: str) -> None:
    """Forward what a client asks for on the way, until it leaves. `name` is the container's."""
    await websocket.accept(SPDY)
    await _Session(websocket, host, name).run()


def ports_of(texts: Sequence[str]) -> list[int]:
    """The ports of a request with channels. Raises ApiError."""
    ports = [int(each) for text in texts for each in text.split(",") if each.isascii() and each.isdecimal()]
    if not ports or len(ports) > MAX_PORTS or not all(0 < each <= LAST_PORT for each in ports):
        raise bad_request("query parameter 'port' is required: 1 to 65535")
    return ports


async def forward_channels(websocket: WebSocket, protocol: str, host: str, name: str) -> None:
    """Forward the ports of the request: channel 2n is the data of the nth, and 2n + 1 what went wrong."""
    ports = ports_of(websocket.query_params.getlist("ports"))
    await websocket.accept(protocol)
    sending = asyncio.Lock()

    async def send(channel: int, data: bytes) -> None:
        async with sending:
            await websocket.send_bytes(bytes([channel]) + data)

    writers: dict[int, asyncio.StreamWriter] = {}

    async def read(channel: int, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await send(channel, data)

    async def write() -> None:
        with suppress(WebSocketDisconnect):
            while True:
                message = await received(websocket)
                writer = writers.get(message[0]) if message else None
                if writer is not None and len(message) > 1:
                    with suppress(OSError, RuntimeError):
                        writer.write(message[1:])
                        await writer.drain()

    tasks: list[asyncio.Task[None]] = []
    try:
        for index, port in enumerate(ports):
            for channel in (2 * index, 2 * index + 1):
                await send(channel, struct.pack("<H", port))
            try:
                reader, writers[2 * index] = await connect(host, port)
            except (OSError, TimeoutError) as error:
                why = f"error forwarding port {port} to pod {name}: {_said(error)}"
                await send(2 * index + 1, why.encode())
            else:
                tasks.append(asyncio.create_task(read(2 * index, reader)))
        writing = asyncio.create_task(write())
        reading = asyncio.create_task(_all(tuple(tasks)))
        tasks += [writing, reading]
        await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            await websocket.close()
    finally:
        for task in tasks:
            task.cancel()
        for writer in writers.values():
            writer.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _all(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks)


def _said(error: OSError) -> str:
    # asyncio's own text names addresses.
    return os.strerror(error.errno) if error.errno else "no answer in time"
