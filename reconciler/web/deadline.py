"""A deadline for every request, so that a route cannot keep a client waiting.

A deadlock must show as a failing health check, not as a check without an answer.
"""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class DeadlineMiddleware:
    """Answers 503 if the response has not started after `seconds`; a started response has no deadline."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and wait for the start of its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds) as deadline:

                async def send_in_time(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        deadline.reschedule(None)
                    await send(message)

                await self._app(scope, receive, send_in_time)
        except TimeoutError:
            if not deadline.expired():
                raise
            answer = JSONResponse({"error": f"no answer within {self._seconds:g} s"}, status_code=503)
            await answer(scope, receive, send)
