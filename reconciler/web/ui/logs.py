"""The logs of all replicas of a service, merged: the last lines as a page, and new ones as they come.

Also those of replicas that come meanwhile. A browser that reads slowly makes the engine wait, and costs no memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from starlette.responses import Response

from reconciler.api.errors import VaultError
from reconciler.core.assess.observation import State
from reconciler.core.desired.stack import Role
from reconciler.engines.instances import LogOptions
from reconciler.web.ui import live
from reconciler.web.ui.service import stored_service
from reconciler.web.ui.site import Asked, Site, is_allowed

if TYPE_CHECKING:
    from reconciler.engines.instances import Instance

__all__ = ["Line", "follow", "log_page", "log_stream"]

TAIL: Final = 200
"""Lines of each replica that a page begins with."""
LONGEST: Final = 4096
"""Characters of a line that are shown."""
LONGEST_QUERY: Final = 200
PENDING: Final = 16 * 1024
"""Bytes without the end of a line before they count as one."""
WAITING: Final = 1000
"""Lines that wait for the browser."""
TOGETHER: Final = 200
LOOK_SECONDS: Final = 15.0
FIRST_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line: when it was written, in the engine's own words, by which replica, and its text."""

    at: str
    replica: str
    text: str


async def log_page(asked: Asked) -> Response:
    """The last lines, in the order in which they were written."""
    stored = await to_thread.run_sync(lambda: stored_service(asked.site, asked.name))
    if not is_allowed(asked, "get", "log"):
        return asked.page(
            "problem.html", HTTPStatus.FORBIDDEN, title="Forbidden", message="your role has no logs"
        )
    query, problem, lines = _query(asked), "", list[Line]()
    try:
        async with asyncio.timeout(FIRST_SECONDS):
            for replica in await _replicas(asked.site, stored.name):
                options = LogOptions(tail=TAIL, timestamps=True)
                async for each in _lines(asked.site, stored.name, replica, options):
                    if query.lower() in each.text.lower():
                        lines.append(each)
    except TimeoutError:
        problem = "The engine takes long; some lines are missing."
    except VaultError as error:
        problem = asked.site.application.secrets.hide(str(error))
    return asked.page(
        "logs.html",
        name=stored.name,
        lines=sorted(lines)[-5 * TAIL :],
        query=query,
        problem=problem,
        most=5 * TAIL,
        live=f"/live/logs/{stored.name}",
    )


def log_stream(asked: Asked) -> AsyncIterator[bytes]:
    """New lines as events."""
    return follow(asked.site, asked.name, _query(asked), asked)


async def follow(site: Site, name: str, query: str, asked: Asked) -> AsyncIterator[bytes]:
    """Events with the new lines of all replicas, until the session ends."""
    reading = _Reading(site, name)
    loop = asyncio.get_running_loop()
    yield b"retry: 2000\n\n"
    try:
        with site.bells.bell() as bell:
            look_at, number = 0.0, -1
            while not site.bells.closed:
                bell.clear()
                now, names = site.pulse.since(number)
                number = now
                if names is None or name in names or loop.time() >= look_at:
                    look_at = loop.time() + LOOK_SECONDS
                    if not await to_thread.run_sync(site.visitors.is_there, asked.visitor):
                        yield live.event("end", {})
                        return
                    await reading.look()
                    yield b": still here\n\n"
                if lines := await _next(reading.found, bell, look_at):
                    shown = [
                        {"at": each.at, "from": each.replica, "text": each.text}
                        for each in lines
                        if query.lower() in each.text.lower()
                    ]
                    if shown:
                        yield live.event("lines", shown)
    finally:
        await reading.end()


async def _next(found: asyncio.Queue[Line], bell: asyncio.Event, until: float) -> list[Line]:
    """The lines that are there, after a wait for the first one, for the bell or for the time."""
    waits: set[asyncio.Task[Any]] = {asyncio.create_task(found.get()), asyncio.create_task(bell.wait())}
    first, ring = waits
    try:
        left = max(0.0, until - asyncio.get_running_loop().time())
        await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
        results = await asyncio.gather(first, ring, return_exceptions=True)
    lines = [each for each in results if isinstance(each, Line)]
    while lines and len(lines) < TOGETHER and not found.empty():
        lines.append(found.get_nowait())
    return lines


@dataclass
class _Reading:
    """The logs that are read for one browser: by replica and start, and those that were begun before."""

    site: Site
    name: str
    found: asyncio.Queue[Line] = field(default_factory=lambda: asyncio.Queue(WAITING))
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    is_first: bool = True

    async def look(self) -> None:
        """Read the logs of replicas that are not read yet; of those that are new all of it."""
        self.tasks = {key: task for key, task in self.tasks.items() if not task.done()}
        with suppress(VaultError):
            for replica in await _replicas(self.site, self.name):
                key = f"{replica.id} {replica.begun}"
                if key in self.tasks or replica.state is not State.RUNNING:
                    continue
                # The page has what was there before it, and of one that was cut off the beginning was sent.
                tail = 0 if self.is_first or key in self.begun else None
                options = LogOptions(follow=True, tail=tail, timestamps=True)
                self.begun.add(key)
                self.tasks[key] = asyncio.create_task(
                    _read(self.site, self.name, replica, options, self.found)
                )
            self.is_first = False

    async def end(self) -> None:
        """Read no more."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def _read(
    site: Site, name: str, replica: Instance, options: LogOptions, found: asyncio.Queue[Line]
) -> None:
    # When the engine is away, the next look begins again with what is there then.
    with suppress(VaultError):
        async for line in _lines(site, name, replica, options):
            await found.put(line)


async def _replicas(site: Site, name: str) -> list[Instance]:
    owned = await to_thread.run_sync(site.running.owned)
    return sorted(
        (
            each
            for ref, each in owned
            if ref.label == name and each.role is Role.WEB and each.state is not State.CREATED
        ),
        key=lambda each: each.name,
    )


async def _lines(site: Site, name: str, replica: Instance, options: LogOptions) -> AsyncIterator[Line]:
    rest = b""
    async with aclosing(site.running.instances.log(replica, options)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            text, end, rest = (rest + piece).rpartition(b"\n")
            if len(rest) > PENDING:
                text, rest = text + end + rest, b""
            for line in _shown(site, name, text, replica):
                yield line
    for line in _shown(site, name, rest, replica):
        yield line


def _shown(site: Site, name: str, text: bytes, replica: Instance) -> Iterable[Line]:
    # Together, because a secret may have several lines.
    hidden = site.running.hide(text.decode(errors="replace"), name)
    for each in hidden.split("\n"):
        if each:
            at, _, said = each.partition(" ")
            yield Line(at[:40], replica.name, said.rstrip("\r")[:LONGEST])


def _query(asked: Asked) -> str:
    return str(asked.request.query_params.get("q", ""))[:LONGEST_QUERY]
