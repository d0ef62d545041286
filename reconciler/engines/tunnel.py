"""Passes bytes between a socket here and the engine of another node, without looking at them.

Docker's clients are given a UNIX socket, and the agent of a node has that of its engine; between them is TLS with
certificates of both sides. All of it runs in one thread of its own: no lock, and no TLS that two threads use at once.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

__all__ = ["Tunnel", "TunnelRefusedError", "open_tls", "open_unix", "take_tls", "take_unix"]

CONNECT_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 1.0
CHUNK: Final = 64 * 1024
AT_ONCE: Final = 64
"""Connections that are passed on side by side; another one is closed."""
SILENT_SECONDS: Final = 15
"""A machine that confirms nothing for so long is taken for gone."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[], Awaitable[Ends]]
Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
Take = Callable[[Accept], Awaitable[asyncio.Server]]

T = TypeVar("T")
_log = logging.getLogger(__name__)


class TunnelRefusedError(Exception):
    """The other side is not who it has to be; the message says why."""


class Tunnel:
    """Connections that `take` accepts, each led to one that `opens` makes. Use it as a context manager.

    `admits` looks at the certificate (DER) of who connects, b"" without TLS, and raises TunnelRefusedError; it gives the
    term of the connection, for `end_older`. `is_over` says whether what is sent may change nothing any more: a connection
    that would send something on then ends.
    """

    def __init__(
        self,
        take: Take,
        opens: Open,
        admits: Callable[[bytes], int] = lambda shown: 0,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._take, self._open, self._admits, self._is_over = take, opens, admits, is_over
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tunnel", daemon=True)
        self._server: asyncio.Server | None = None
        self._open_ones: dict[asyncio.Task[None], int] = {}

    def __enter__(self) -> Tunnel:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Accept connections from now on. Raises OSError."""
        self._thread.start()
        try:
            self._server = self._run(self._listen())
        except BaseException:
            self._stop()
            raise

    def close(self) -> None:
        """Accept no more, and end all connections."""
        server, self._server = self._server, None
        if server is not None:
            try:
                self._run(self._end(server))
            finally:
                self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CONNECT_SECONDS)
        self._loop.close()

    def end_older(self, term: int) -> None:
        """End the connections of earlier terms. From any thread."""
        # One that has ended has no connections.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end_older, term)

    def _end_older(self, term: int) -> None:
        for task, its in self._open_ones.items():
            if its < term:
                task.cancel()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * CONNECT_SECONDS)

    async def _listen(self) -> asyncio.Server:
        return await self._take(self._accept)

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        # Those as well that have not come so far as to be passed on.
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a connection on in a task of its own: asyncio reports the end of one that it made itself as a defect."""
        if len(self._open_ones) >= AT_ONCE:
            writer.transport.abort()
            return

        def ended(task: asyncio.Task[None]) -> None:
            del self._open_ones[task]
            # One that was cancelled before its first step has closed nothing.
            writer.transport.abort()

        task = self._loop.create_task(self._pass_on(reader, writer))
        self._open_ones[task] = 0
        task.add_done_callback(ended)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        async with _closing(writer):
            try:
                self._open_ones[task] = self._admits(_shown(writer))
                _notice_silence(writer)
                async with asyncio.timeout(CONNECT_SECONDS):
                    there, back = await self._open()
                async with _closing(back):
                    _notice_silence(back)
                    has_answered = await _both(reader, back, there, writer, self._is_over)
                if has_answered:
                    # A client on a busy machine may not have taken all of it yet.
                    await _closed(writer, SILENT_SECONDS)
            except (OSError, TimeoutError, TunnelRefusedError) as error:
                _log.info("a connection to an engine was not passed on: %s", error)


async def _both(
    reader: asyncio.StreamReader,
    back: asyncio.StreamWriter,
    there: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    is_over: Callable[[], bool],
) -> bool:
    """Copy both ways until one side has ended, or what is sent comes too late. Says whether it was the answering one."""
    asking, answering = ways = (
        asyncio.create_task(_copy(reader, back, is_over)),
        asyncio.create_task(_copy(there, writer)),
    )
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        return answering.done() and not asking.done()
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close a connection at the end, also if the task is cancelled while it waits for that."""
    try:
        yield
    finally:
        await _closed(writer)


async def _closed(writer: asyncio.StreamWriter, seconds: float = CLOSE_SECONDS) -> None:
    """Close a connection; the other side has so long to take what was sent."""
    writer.close()
    try:
        async with asyncio.timeout(seconds):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()


async def _copy(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_over: Callable[[], bool] = lambda: False
) -> None:
    with suppress(OSError):
        while data := await source.read(CHUNK):
            if is_over():
                _log.info("a connection to an engine is ended: what it sends may change nothing any more")
                return
            sink.write(data)
            await sink.drain()


def _shown(writer: asyncio.StreamWriter) -> bytes:
    handshake = writer.get_extra_info("ssl_object")
    return (handshake.getpeercert(binary_form=True) or b"") if handshake else b""


def _notice_silence(writer: asyncio.StreamWriter) -> None:
    """End a connection whose other machine is gone, also while nothing is sent."""
    made: socket.socket | None = writer.get_extra_info("socket")
    if made is not None and made.family != socket.AF_UNIX:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            (socket.TCP_KEEPIDLE, SILENT_SECONDS // 3),
            (socket.TCP_KEEPINTVL, SILENT_SECONDS // 3),
            (socket.TCP_KEEPCNT, 2),
            (socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000),
        ):
            made.setsockopt(socket.IPPROTO_TCP, option, value)


def take_unix(path: Path) -> Take:
    """Connections to a UNIX socket, which is made so that only its owner can connect."""

    async def take(accept: Accept) -> asyncio.Server:
        server = await asyncio.start_unix_server(accept, path)
        path.chmod(0o600)
        return server

    return take


def take_tls(listener: socket.socket, context: ssl.SSLContext) -> Take:
    """TLS connections to a socket that listens, which the tunnel closes."""

    async def take(accept: Accept) -> asyncio.Server:
        return await asyncio.start_server(
            accept, sock=listener, ssl=context, ssl_handshake_timeout=CONNECT_SECONDS
        )

    return take


def open_unix(path: Path) -> Open:
    """A connection to a UNIX socket."""

    async def opens() -> Ends:
        return await asyncio.open_unix_connection(path)

    return opens


def open_tls(
    where: Callable[[], tuple[str, int, str, ssl.SSLContext]], accepts: Callable[[bytes], bool]
) -> Open:
    """A TLS connection to host, port and name that `where` gives with a context, if it `accepts` the certificate (DER) that
    the other side shows.
    """

    async def opens() -> Ends:
        host, port, name, context = where()
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
        if not accepts(_shown(writer)):
            await _closed(writer)
            raise TunnelRefusedError(
                f"{host}:{port} shows a certificate that is not the one that was issued last"
            )
        return reader, writer

    return opens
