"""Data for a port that a container has not taken yet: kept in its order, and with a bound."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from typing import Any

import pytest

from reconciler.web.kube.streams import forwarding
from reconciler.web.kube.streams.spdy import DICTIONARY, HEAD

SECONDS = 60.0
FRAMES = 200_000


class Client:
    """What a WebSocket has received; nothing more comes after its messages until it is left."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = list(messages)
        self.left = asyncio.Event()
        self.sent = 0

    async def receive(self) -> dict[str, Any]:
        if self.messages:
            return {"type": "websocket.receive", "bytes": self.messages.pop(0)}
        await self.left.wait()
        return {"type": "websocket.disconnect"}

    async def send_bytes(self, data: bytes) -> None:
        self.sent += 1


def opened(packer: Any, stream: int, type_: str) -> bytes:
    headers = {"streamtype": type_, "port": "80", "requestid": "0"}
    texts = [each.encode() for pair in headers.items() for each in pair]
    text = struct.pack(">L", len(headers)) + b"".join(struct.pack(">L", len(each)) + each for each in texts)
    packed: bytes = packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)
    body = struct.pack(">LLBB", stream, 0, 0, 0) + packed
    return HEAD.pack(0x80030001, len(body)) + body


def test_many_small_frames_before_the_connection_is_there_arrive_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a sum over all of them at each one, this takes half an hour, in which nothing else is answered."""
    taken = asyncio.Event()
    ours, theirs = socket.socketpair()

    async def connect(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await taken.wait()
        return await asyncio.open_connection(sock=ours)

    monkeypatch.setattr(forwarding, "connect", connect)
    packer = zlib.compressobj(zdict=DICTIONARY)
    head = opened(packer, 1, "error") + opened(packer, 3, "data")
    data = bytes(number % 251 for number in range(FRAMES))
    frames = b"".join(HEAD.pack(3, 1) + data[each : each + 1] for each in range(FRAMES))
    empty = HEAD.pack(3, 0) * 100_000

    async def run() -> bytes:
        client = Client(head + empty + frames)
        session: Any = forwarding._Session(client, "host", "pod")  # type: ignore[arg-type]
        running = asyncio.create_task(session.run())
        async with asyncio.timeout(SECONDS):
            while client.messages:
                await asyncio.sleep(0)
            (connection,) = session._requests.values()
            assert len(connection.waiting) <= forwarding.MAX_WAITING // forwarding.FRAME_BYTES + 1
            taken.set()
            theirs.setblocking(False)
            found = b""
            while len(found) < FRAMES:
                found += await asyncio.get_running_loop().sock_recv(theirs, 65536)
            client.left.set()
            await running
        return found

    with theirs:
        assert asyncio.run(run()) == data
