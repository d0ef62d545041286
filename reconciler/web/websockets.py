"""WebSockets as the Kubernetes API speaks them; imported only where they are served."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers

__all__ = ["WebSocketProtocol"]


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

    async def send(self, message: Any) -> None:
        """Send; a refusal is the end of a handshake as well, and no mistake of the application."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True


def _none(headers: Headers) -> None:
    return None
