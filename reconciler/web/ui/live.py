"""Sends an open page what has changed, as server-sent events, until the session ends or the browser leaves.

An event is a part of the page as HTML with the ID of the element that it replaces: the same templates render both.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from reconciler.api.errors import VaultError

if TYPE_CHECKING:
    from reconciler.web.kube.watching import Bells
    from reconciler.web.ui.pulse import Pulse

__all__ = ["Streams", "event", "number_of", "stream"]

LOOK_SECONDS: Final = 15.0
"""How soon the end of a session is seen, and a browser that has left."""
PAUSE_SECONDS: Final = 0.1
"""Changes that come within it after the last ones are sent together; the first one is sent at once."""
MAX_STREAMS: Final = 100
MAX_OF_ONE: Final = 30

Render = Callable[["tuple[str, ...] | None"], "list[dict[str, Any]]"]
"""The parts of a page that show these services, or all."""

_log = logging.getLogger(__name__)


class Streams:
    """How many streams are open, in total and of each user; used from one event loop only."""

    def __init__(self, most: int = MAX_STREAMS, most_of_one: int = MAX_OF_ONE) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._users: list[str] = []

    @property
    def are_open(self) -> bool:
        """Whether any page is open."""
        return bool(self._users)

    def has_room(self, user: str) -> bool:
        """Whether one more of this user may be opened."""
        return len(self._users) < self._most and self._users.count(user) < self._most_of_one

    @contextmanager
    def one_of(self, user: str) -> Iterator[None]:
        """Count one while the block lasts."""
        self._users.append(user)
        try:
            yield
        finally:
            self._users.remove(user)


def event(name: str, data: Any, number: int | None = None) -> bytes:
    """One server-sent event; JSON has no line breaks that would end it."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def number_of(request: HTTPConnection) -> int:
    """The last number that a browser has seen: it repeats that of the last event when it connects again."""
    text = request.headers.get("last-event-id") or request.query_params.get("since", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1


def answer(streams: Streams, user: str, events: AsyncIterator[bytes]) -> Response:
    """A stream as an answer; 429 when there are too many."""
    if not streams.has_room(user):
        return PlainTextResponse("too many pages are open", HTTPStatus.TOO_MANY_REQUESTS)

    async def counted() -> AsyncIterator[bytes]:
        with streams.one_of(user):
            async for each in events:
                yield each

    return StreamingResponse(counted(), media_type="text/event-stream")


async def stream(
    pulse: Pulse, bells: Bells, number: int, render: Render, may_go_on: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Events with the parts that have changed after `number`. `may_go_on` says whether the session still lasts."""
    loop = asyncio.get_running_loop()
    look_at = loop.time() + LOOK_SECONDS
    # The browser knows now that it is connected.
    yield b"retry: 1000\n\n"
    with bells.bell() as bell:
        while not bells.closed:
            bell.clear()
            if not await to_thread.run_sync(may_go_on):
                yield event("end", {})
                return
            at, names = pulse.since(number)
            if names is None or names:
                try:
                    parts = await to_thread.run_sync(render, names)
                except VaultError as error:
                    _log.warning("the page cannot show a change: %s", error)
                    parts = []
                if parts:
                    yield b"".join(event("part", part, at) for part in parts)
                await asyncio.sleep(PAUSE_SECONDS)
            number = at
            try:
                async with asyncio.timeout_at(look_at):
                    await bell.wait()
            except TimeoutError:
                look_at = loop.time() + LOOK_SECONDS
                yield b": still here\n\n"
