"""Watches: a stream of changes after a number.

A watcher has no queue, only the number of what it was sent last; what comes next is read from the journal when the client
has taken what was sent before. So a client that reads slowly costs no memory, and one that is too far behind gets 410
and lists again: none misses a change.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from starlette.types import Receive, Scope, Send

from reconciler.api.errors import VaultError
from reconciler.web.kube import table
from reconciler.web.kube.asked import Form, ListOptions
from reconciler.web.kube.errors import ApiError, expired
from reconciler.web.kube.listing import selects

if TYPE_CHECKING:
    from reconciler.store.versions import Change, Document
    from reconciler.web.kube.collection import Collection

__all__ = ["Bells", "Watch"]

BATCH: Final = 100
BOOKMARK_SECONDS: Final = 60.0
STALLED_SECONDS: Final = 60.0
"""A client that takes nothing for so long is disconnected."""
SHORTEST_SECONDS: Final = 1800.0
"""A watch without timeoutSeconds ends after this time to twice of it, so that clients spread over a restarted server."""
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class Bells:
    """Wakes the watchers of one event loop, from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bells: set[asyncio.Event] = set()
        self._rung = False
        self.closed = False

    @contextmanager
    def bell(self) -> Iterator[asyncio.Event]:
        """A bell that is rung by each `ring` while the block lasts."""
        self._loop = asyncio.get_running_loop()
        bell = asyncio.Event()
        self._bells.add(bell)
        try:
            yield bell
        finally:
            self._bells.discard(bell)

    def ring(self) -> None:
        """Wake all of them."""
        if self._loop is not None and self._bells and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring)

    def close(self) -> None:
        """End all watches."""
        self.closed = True
        self.ring()

    def _ring(self) -> None:
        for bell in self._bells:
            bell.set()


class Watch:
    """One watch, as an ASGI response. `may_go_on` says whether its user may still watch."""

    def __init__(
        self,
        collection: Collection,
        options: ListOptions,
        form: Form,
        include: str,
        *,
        bells: Bells,
        now: Callable[[], datetime],
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        self._collection = collection
        self._options = options
        self._form = form
        self._include = include
        self._bells = bells
        self._now = now
        self._may_go_on = may_go_on
        self._definitions: list[dict[str, Any]] | None = table.columns(collection.served)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the time is over, the client leaves, or it takes nothing any more."""
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"cache-control", b"no-cache, private")],
            }
        )
        streaming = asyncio.create_task(self._stream(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (streaming, leaving):
                task.cancel()
            await asyncio.gather(streaming, leaving, return_exceptions=True)
        # A defect is for the log of the server; one that takes nothing is none.
        with suppress(asyncio.CancelledError, TimeoutError):
            streaming.result()

    async def _stream(self, send: Send) -> None:
        # The answer has begun: clients wait for its head before they list.
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        async for line in self._lines_or_error():
            async with asyncio.timeout(STALLED_SECONDS):
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _lines_or_error(self) -> AsyncIterator[bytes]:
        try:
            async for line in self.lines():
                yield line
        except VaultError as error:
            failure = ApiError(503, "ServiceUnavailable", str(error), {"retryAfterSeconds": 1})
            yield self._line("ERROR", _json(failure.document()))

    async def lines(self) -> AsyncIterator[bytes]:
        """The events, several of them in one text. Raises VaultError."""
        loop = asyncio.get_running_loop()
        options = self._options
        seconds = options.timeout
        if seconds is None:
            seconds = SHORTEST_SECONDS * (1 + random.random())
        ends = loop.time() + seconds
        number = options.number
        if options.initial_events or (options.initial_events is None and not number):
            number, documents = await self._documents()
            found = [each for each in documents if self._selects(each)]
            for start in range(0, len(found), BATCH):
                yield b"".join(self._event("ADDED", each) for each in found[start : start + BATCH])
            if options.initial_events:
                yield self._bookmark(number, {INITIAL_EVENTS_END: "true"})
        elif not number:
            number, _ = await self._documents()
        next_bookmark = loop.time() + BOOKMARK_SECONDS
        with self._bells.bell() as bell:
            while not self._bells.closed and self._may_go_on():
                bell.clear()
                found_since = self._collection.since(number, BATCH)
                if found_since is None:
                    yield self._line(
                        "ERROR", _json(expired(f"too old resource version: {number}").document())
                    )
                    return
                at, changes = found_since
                if lines := b"".join(map(self._told, changes)):
                    yield lines
                if at != number:
                    number = at
                    continue
                if loop.time() >= ends:
                    break
                if options.bookmarks and loop.time() >= next_bookmark:
                    next_bookmark = loop.time() + BOOKMARK_SECONDS
                    yield self._bookmark(number, {})
                try:
                    async with asyncio.timeout_at(min(ends, next_bookmark)):
                        await bell.wait()
                except TimeoutError:
                    next_bookmark = next_bookmark if options.bookmarks else loop.time() + BOOKMARK_SECONDS
        if options.bookmarks:
            yield self._bookmark(number, {})

    async def _documents(self) -> tuple[int, Sequence[Document]]:
        # In a thread, because what runs is asked of the engine.
        return await to_thread.run_sync(self._collection.documents)

    def _selects(self, document: Document) -> bool:
        return selects(self._options, document, document.labels, self._collection.served)

    def _told(self, change: Change) -> bytes:
        document = change.document
        is_selected = change.type != "DELETED" and self._selects(document)
        was_selected = change.before is not None and selects(
            self._options, document, change.before, self._collection.served
        )
        if is_selected:
            return self._event("MODIFIED" if was_selected else "ADDED", document)
        # One that no longer has the labels is gone for this watcher.
        return self._event("DELETED", document) if was_selected else b""

    def _event(self, type_: str, document: Document) -> bytes:
        if self._form == "table":
            row = table.row(self._collection.served, document, self._include, self._now())
            definitions, self._definitions = self._definitions, None
            metadata = {"resourceVersion": str(document.number)}
            return self._line(type_, _json(table.table([row], metadata, definitions)))
        if self._form == "partial":
            return self._line(type_, _json(table.partial(json.loads(document.text))))
        return self._line(type_, document.text)

    def _bookmark(self, number: int, annotations: dict[str, str]) -> bytes:
        served = self._collection.served
        metadata: dict[str, Any] = {"resourceVersion": str(number), "creationTimestamp": None}
        metadata |= {"annotations": annotations} if annotations else {}
        document = {"kind": served.kind, "apiVersion": served.api_version, "metadata": metadata}
        if self._form == "partial":
            document = table.partial(document)
        elif self._form == "table":
            definitions, self._definitions = self._definitions, None
            row = {"cells": [], "object": table.partial(document)}
            document = table.table([row], {"resourceVersion": str(number)}, definitions)
        return self._line("BOOKMARK", _json(document))

    def _line(self, type_: str, document: bytes) -> bytes:
        return b'{"type":"' + type_.encode() + b'","object":' + document + b"}\n"


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
