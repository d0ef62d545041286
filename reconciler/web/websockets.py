"""WebSockets as the Kubernetes API speaks them; imported only where they are served."""

from __future__ import annotations

from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame

__all__ = ["WebSocketProtocol"]

PROTOCOL_ERROR: Final = 1002


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One whose clients may name any subprotocol."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The library reads names as tokens; "SPDY/3.1+portforward.k8s.io" has a slash. The application chooses one.
        self.conn.process_subprotocol = _none  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        """Close a connection whose request the library refuses, for example for a line that is too long."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.transport.is_closing():
            self.transport.abort()

    def handle_parser_exception(self) -> None:
        """Close a connection with broken frames. Before the handshake is complete there is no frame that says so."""
        if self.conn.close_sent is not None:
            super().handle_parser_exception()
            return
        self._give_up()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": PROTOCOL_ERROR})
        self.transport.abort()

    def handle_text(self, event: Frame) -> None:
        """Take a text as bytes, as the API does with each message: one that is no UTF-8 would be an error of ours."""
        self.handle_bytes(event)

    async def send(self, message: Any) -> None:
        """Send; a refusal is the end of a handshake as well, and no mistake of the application."""
        if not self.handshake_complete and self.transport.is_closing():
            self._give_up()
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True

    def _give_up(self) -> None:
        """The client has gone. The library is told a turn of the loop later, and would answer what has ended meanwhile."""
        self.disconnected = True
        self.handshake_complete = True


def _none(headers: Headers) -> None:
    return None
