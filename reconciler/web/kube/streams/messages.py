"""Messages of a WebSocket as bytes, whichever kind a client sends."""

from __future__ import annotations

from starlette.websockets import WebSocket, WebSocketDisconnect

__all__ = ["received"]


async def received(websocket: WebSocket) -> bytes:
    """The next message. Raises WebSocketDisconnect."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    data = message.get("bytes")
    return data if data is not None else str(message.get("text") or "").encode()
