"""Logs of containers: what `kubectl logs` asks for, line by line, without the secrets of their object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from starlette.types import Receive, Scope, Send

from reconciler.core.assess.observation import State
from reconciler.engines.instances import LogOptions
from reconciler.web.kube.asked import is_true, whole
from reconciler.web.kube.errors import bad_request

if TYPE_CHECKING:
    from reconciler.engines.instances import Instance, Instances

__all__ = ["LogAnswer", "log_answer"]

LONGEST_LINE: Final = 64 * 1024
FIRST_SECONDS: Final = 0.3
"""How long the begin of an answer waits for an error of the engine."""
MOST: Final = 2**53


@dataclass(frozen=True, slots=True)
class _Asked:
    options: LogOptions
    limit: int | None


async def log_answer(
    instances: Instances,
    instance: Instance,
    query: Mapping[str, str],
    hide: Callable[[str], str],
    now: datetime,
) -> LogAnswer:
    """The answer to a request for the log of a container. Raises ApiError for values that are not valid."""
    if query.get("container", instance.workload) != instance.workload:
        raise bad_request(f"container {query['container'][:80]} is not valid for pod {instance.name}")
    if instance.state is State.CREATED:
        raise bad_request(
            f'container "{instance.workload}" in pod "{instance.name}" is waiting to start: ContainerCreating'
        )
    asked = _asked(instance, query, now)
    if is_true(query.get("previous", "")) and not await _has_any(instances, instance, asked.options):
        raise bad_request(
            f'previous terminated container "{instance.workload}" in pod "{instance.name}" not found'
        )
    return LogAnswer(_lines(instances, instance, asked.options, hide), asked.limit)


def _asked(instance: Instance, query: Mapping[str, str], now: datetime) -> _Asked:
    seconds, moment = query.get("sinceSeconds"), query.get("sinceTime")
    if seconds and moment:
        raise bad_request("at most one of sinceTime or sinceSeconds may be specified")
    since = 0.0
    if seconds:
        since = max(0.0, now.timestamp() - whole("sinceSeconds", seconds, MOST))
    elif moment:
        since = _time(moment)
    previous = is_true(query.get("previous", ""))
    begun = _unix(instance.begun)
    options = LogOptions(
        follow=is_true(query.get("follow", "")) and not previous,
        # The engine keeps one log over all starts of a container.
        since=f"{since:.9f}" if previous or since > float(begun or 0) else begun,
        until=begun if previous else "",
        tail=whole("tailLines", query["tailLines"], MOST) if "tailLines" in query else None,
        timestamps=is_true(query.get("timestamps", "")),
    )
    limit = whole("limitBytes", query["limitBytes"], MOST) if "limitBytes" in query else None
    if limit == 0:
        raise bad_request("limitBytes: Invalid value: 0: must be greater than 0")
    return _Asked(options, limit)


def _time(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise bad_request(
            f"sinceTime: Invalid value: {text[:40]!r}: must be a time as in 2026-05-01T12:00:00Z"
        )
    return max(0.0, found.timestamp())


def _unix(begun: str) -> str:
    """A time of the engine as a Unix time, with all of its digits."""
    whole_seconds, _, fraction = begun.rstrip("Z").partition(".")
    try:
        seconds = int(datetime.fromisoformat(f"{whole_seconds}+00:00").timestamp())
    except ValueError:
        return ""
    return f"{max(0, seconds)}.{fraction or 0}"


async def _has_any(instances: Instances, instance: Instance, options: LogOptions) -> bool:
    last = LogOptions(until=options.until, tail=1)
    async with aclosing(instances.log(instance, last)) as pieces:  # type: ignore[type-var]
        async for _ in pieces:
            return True
    return False


async def _lines(
    instances: Instances, instance: Instance, options: LogOptions, hide: Callable[[str], str]
) -> AsyncIterator[bytes]:
    rest = b""
    async with aclosing(instances.log(instance, options)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            text, end, rest = (rest + piece).rpartition(b"\n")
            if text or end:
                yield _hidden(text + end, hide)
            if len(rest) > LONGEST_LINE:
                yield _hidden(rest, hide)
                rest = b""
    if rest:
        yield _hidden(rest, hide)


def _hidden(text: bytes, hide: Callable[[str], str]) -> bytes:
    # Bytes that are no text stay what they are.
    return hide(text.decode(errors="surrogateescape")).encode(errors="surrogateescape")


class LogAnswer:
    """A log as an ASGI response, until it ends, the client leaves or `limit` bytes were sent."""

    def __init__(self, lines: AsyncIterator[bytes], limit: int | None) -> None:
        self._lines = lines
        self._left = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. What the engine refuses at once is raised before the answer begins."""
        first = asyncio.ensure_future(anext(self._lines, b""))
        try:
            await asyncio.wait({first}, timeout=FIRST_SECONDS)
            if first.done():
                first.result()
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"content-type", b"text/plain"), (b"cache-control", b"no-cache, private")],
                }
            )
            streaming = asyncio.create_task(self._stream(first, send))
            leaving = asyncio.create_task(_left(receive))
            try:
                await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (streaming, leaving):
                    task.cancel()
                await asyncio.gather(streaming, leaving, return_exceptions=True)
        finally:
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await self._lines.aclose()  # type: ignore[attr-defined]

    async def _stream(self, first: asyncio.Future[bytes], send: Send) -> None:
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        line: bytes | None = await first
        while line:
            if self._left is not None:
                line = line[: self._left]
                self._left -= len(line)
            await send({"type": "http.response.body", "body": line, "more_body": True})
            if self._left == 0:
                break
            line = await anext(self._lines, b"")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    message: Any = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()
