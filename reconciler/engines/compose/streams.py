"""Answers of the Docker API that last: logs and commands in containers, on asyncio.

Each has a connection of its own, which ends with the task that reads it, so that a client that leaves keeps neither a
thread nor a connection.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from reconciler.engines.compose.api import CALL_SECONDS
from reconciler.engines.errors import EngineAwayError, EngineError

__all__ = ["Command", "Line", "demultiplexed", "execute", "log"]

CHUNK: Final = 64 * 1024
HEAD: Final = struct.Struct(">BxxxL")
"""Before each piece of output: which stream, and how many bytes."""
MAX_ANSWER: Final = 1024 * 1024
UPGRADED: Final = 101
OK: Final = 200
BAD: Final = 300

Pieces = AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Line:
    """Where the engine listens: the path of a UNIX socket, or "HOST:PORT"."""

    address: str

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection. Raises OSError."""
        if self.address.startswith("/"):
            return await asyncio.open_unix_connection(self.address)
        host, _, port = self.address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))


async def log(line: Line, target: str, *, has_terminal: bool) -> Pieces:
    """The pieces of a log; `target` is the request. Raises EngineError."""
    status, head, reader, writer = await _ask(line, "GET", target)
    try:
        body = _body(head, reader)
        async with aclosing(body):  # type: ignore[type-var]
            if status != OK:
                raise _refusal("read logs", await _whole(body))
            if has_terminal:
                async for piece in body:
                    yield piece
            else:
                async for _, piece in demultiplexed(body):
                    yield piece
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        raise EngineAwayError("the engine's log was cut") from error
    finally:
        writer.close()


class Command:
    """A command that runs in a container."""

    def __init__(
        self,
        line: Line,
        identifier: str,
        tty: bool,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._line = line
        self._id = identifier
        self._tty = tty
        self._reader = reader
        self._writer = writer

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Its output, until it ends."""
        pieces = _raw(self._reader)
        try:
            if self._tty:
                async for piece in pieces:
                    yield 1, piece
            else:
                async for each in demultiplexed(pieces):
                    yield each
        except (OSError, asyncio.IncompleteReadError) as error:
            raise EngineAwayError("the engine ended the connection to the command") from error

    async def write(self, data: bytes) -> None:
        """Send standard input; what the command takes no more is dropped, as in a pipe."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError:
            return

    async def end_input(self) -> None:
        """Say that no more input comes."""
        if self._writer.can_write_eof() and not self._writer.is_closing():
            try:
                self._writer.write_eof()
            except OSError:
                return

    async def resize(self, width: int, height: int) -> None:
        """Tell the size of the terminal; one that has ended has none."""
        await _answer(self._line, "POST", f"/exec/{self._id}/resize?w={width}&h={height}")

    async def exit_code(self) -> int | None:
        """The exit code."""
        status, body = await _answer(self._line, "GET", f"/exec/{self._id}/json")
        code = json.loads(body).get("ExitCode") if status == OK else None
        return code if isinstance(code, int) else None

    def close(self) -> None:
        """End the connection."""
        self._writer.close()


async def execute(line: Line, container: str, words: Sequence[str], *, stdin: bool, tty: bool) -> Command:
    """Start a command in a container. Raises EngineError."""
    wanted = {
        "AttachStdin": stdin,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": tty,
        "Cmd": list(words),
    }
    status, body = await _answer(line, "POST", f"/containers/{container}/exec", wanted)
    if status >= BAD:
        raise _refusal("run a command", body)
    identifier = str(json.loads(body)["Id"])
    start = {"Detach": False, "Tty": tty}
    status, head, reader, writer = await _ask(
        line, "POST", f"/exec/{identifier}/start", start, {"Connection": "Upgrade", "Upgrade": "tcp"}
    )
    if status not in (OK, UPGRADED):
        try:
            raise _refusal("run a command", await _whole(_body(head, reader)))
        finally:
            writer.close()
    return Command(line, identifier, tty, reader, writer)


async def demultiplexed(pieces: Pieces) -> AsyncIterator[tuple[int, bytes]]:
    """Pieces of output with the number of their stream. Raises ValueError for what is no such stream."""
    rest = bytearray()
    stream = left = 0
    async for piece in pieces:
        rest += piece
        while rest:
            if not left:
                if len(rest) < HEAD.size:
                    break
                stream, left = HEAD.unpack_from(rest)
                if stream > 2:
                    raise ValueError("the engine's output has an unknown stream")
                del rest[: HEAD.size]
                continue
            found = bytes(rest[:left])
            del rest[:left]
            left -= len(found)
            # 0 is the input that a terminal repeats.
            yield stream or 1, found


async def _answer(line: Line, method: str, target: str, body: Any = None) -> tuple[int, bytes]:
    status, head, reader, writer = await _ask(line, method, target, body)
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return status, await _whole(_body(head, reader))
    except (OSError, asyncio.IncompleteReadError, ValueError, TimeoutError) as error:
        raise EngineAwayError("the engine's answer was cut") from error
    finally:
        writer.close()


async def _ask(
    line: Line, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], asyncio.StreamReader, asyncio.StreamWriter]:
    """Status, headers, and the connection, of which the body is unread. Raises EngineAwayError."""
    text = b"" if body is None else json.dumps(body).encode()
    fields = {"Host": "docker", "Content-Length": str(len(text)), "Connection": "close"}
    fields |= {"Content-Type": "application/json"} if text else {}
    fields |= headers or {}
    said = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(CALL_SECONDS):
            reader, writer = await line.open()
            writer.write(f"{method} {target} HTTP/1.1\r\n{said}\r\n".encode() + text)
            first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            status = int(first.split(" ", 2)[1])
    except (
        OSError,
        TimeoutError,
        ValueError,
        IndexError,
        asyncio.IncompleteReadError,
        asyncio.LimitOverrunError,
    ) as error:
        if writer is not None:
            writer.close()
        raise EngineAwayError("the engine does not answer; is dockerd running?") from error
    except BaseException:
        if writer is not None:
            writer.close()
        raise
    head = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    return status, head, reader, writer


async def _body(head: Mapping[str, str], reader: asyncio.StreamReader) -> Pieces:
    if head.get("transfer-encoding") != "chunked":
        async for piece in _raw(reader):
            yield piece
        return
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        while size:
            piece = await reader.read(min(size, CHUNK))
            if not piece:
                raise asyncio.IncompleteReadError(b"", size)
            size -= len(piece)
            yield piece
        await reader.readexactly(2)


async def _raw(reader: asyncio.StreamReader) -> Pieces:
    while piece := await reader.read(CHUNK):
        yield piece


async def _whole(body: Pieces) -> bytes:
    found = bytearray()
    async for piece in body:
        found += piece
        if len(found) > MAX_ANSWER:
            raise ValueError("the engine's answer is too long")
    return bytes(found)


def _refusal(what: str, body: bytes) -> EngineError:
    try:
        said = str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError):
        said = body.decode(errors="replace").strip()
    return EngineError(f"the engine could not {what}: {said}")
