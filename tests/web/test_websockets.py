"""A client that leaves in the middle of its handshake is no error, whichever of both is noticed first."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from reconciler.web.websockets import WebSocketProtocol

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
NO_FRAME = b"\xff\xff\xff\xff"


class Transport(asyncio.Transport):
    """One whose end is told later than it begins, as of a socket and even more of TLS."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.closing = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True


@pytest.mark.parametrize("broken", [True, False], ids=["broken frames", "the end of the connection"])
@pytest.mark.parametrize("answer", ["accept", "deny"])
def test_a_client_that_leaves_before_its_handshake_is_complete(
    caplog: pytest.LogCaptureFixture, broken: bool, answer: str
) -> None:
    async def run() -> None:
        going_on = asyncio.Event()
        ended: list[BaseException | None] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await going_on.wait()
            try:
                if answer == "accept":
                    await send({"type": "websocket.accept"})
                else:
                    await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
                    await send({"type": "websocket.http.response.body", "body": b"no"})
                ended.append(None)
            except ClientDisconnected as error:
                ended.append(error)

        config = Config(app, ws_per_message_deflate=False, log_config=None)
        config.load()
        transport, state = Transport(), ServerState()
        protocol = WebSocketProtocol(config, state, {})
        protocol.connection_made(transport)
        protocol.data_received(HANDSHAKE)
        (task,) = state.tasks
        await asyncio.sleep(0)
        if broken:
            protocol.data_received(NO_FRAME)
        else:
            transport.close()
        going_on.set()
        await task
        assert [type(each) for each in ended] == [ClientDisconnected]
        assert transport.written == b""
        protocol.connection_lost(None)

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert [each.getMessage() for each in caplog.records] == []
