"""Debian's Chromium in a network of its own, where nothing changes.

Beside other tests Docker makes and removes networks all the time, and each time Chromium gives up its requests
(ERR_NETWORK_CHANGED). Here it has only a loopback, and one way out: a SOCKS proxy of the test, which leads to this machine
alone. As a program this is what starts it: `apart.py SOCKET CHROMIUM ARGUMENTS…`.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PORT: Final = 1080
CLONE_NEWNET: Final = 0x40000000
PR_SET_PDEATHSIG: Final = 1
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
PIPES: Final = (3, 4)
"""The descriptors by which Playwright talks to the browser."""
LOOPBACK: Final = ("127.0.0.1", "localhost")
CONNECT, IPV4, NAME = 1, 1, 3


@contextmanager
def way_out(directory: Path) -> Iterator[tuple[Path, list[str]]]:
    """The socket of a SOCKS proxy to the loopback of this machine, and the list of other hosts that were asked for."""
    path, others = directory / "out.sock", list[str]()
    loop = asyncio.new_event_loop()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            await _lead(reader, writer, others)
        writer.close()

    # Before the block begins: the browser may ask at once.
    server = loop.run_until_complete(asyncio.start_unix_server(lead, path))
    thread = threading.Thread(target=loop.run_forever, name="way out", daemon=True)
    thread.start()
    try:
        yield path, others
    finally:
        loop.call_soon_threadsafe(server.close)
        asyncio.run_coroutine_threadsafe(_end(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _end() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, others: list[str]) -> None:
    """SOCKS 5 without a login, for TCP."""
    _, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(b"\x05\x00")
    _, command, _, kind = await reader.readexactly(4)
    size = 4 if kind == IPV4 else (await reader.readexactly(1))[0] if kind == NAME else 16
    raw = await reader.readexactly(size)
    host = (
        raw.decode()
        if kind == NAME
        else socket.inet_ntop(socket.AF_INET if kind == IPV4 else socket.AF_INET6, raw)
    )
    (port,) = struct.unpack("!H", await reader.readexactly(2))
    if command != CONNECT or host not in LOOPBACK:
        others.append(host)
        writer.write(b"\x05\x02\x00\x01" + bytes(6))
        return
    try:
        far, to_far = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.write(b"\x05\x05\x00\x01" + bytes(6))
        return
    writer.write(b"\x05\x00\x00\x01" + bytes(6))
    try:
        await _between((reader, writer), (far, to_far))
    finally:
        to_far.close()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _between(one: Ends, other: Ends) -> None:
    """Pass on until one side ends."""
    passing = [asyncio.create_task(_pass(one[0], other[1])), asyncio.create_task(_pass(other[0], one[1]))]
    try:
        await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@contextmanager
def program_apart(program: str) -> Iterator[tuple[str, dict[str, str], list[str]]]:
    """A program that starts Chromium apart, the proxy that it needs, and the list of other hosts that it asked for."""
    with tempfile.TemporaryDirectory(prefix="apart-") as name, way_out(Path(name)) as (path, others):
        script = Path(name) / "chromium"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {path} {program} "$@"\n')
        script.chmod(0o700)
        yield str(script), {"server": f"socks5://127.0.0.1:{PORT}", "bypass": "<-loopback>"}, others


@contextmanager
def chromium_apart() -> Iterator[Browser]:
    """The browser with an empty profile, apart."""
    from playwright.sync_api import ProxySettings, sync_playwright

    from tests.web.ui.chromium import FLAGS, program

    with program_apart(program()) as (path, proxy, _), sync_playwright() as playwright:
        settings = ProxySettings(**proxy)  # type: ignore[typeddict-item]
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS), proxy=settings)
        try:
            yield browser
        finally:
            browser.close()


def main(path: str, *command: str) -> None:
    """Start a command in a network of its own, with a way to the socket."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no network of its own; the tests of the page need root")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = struct.pack("16sh", b"lo", 0)
        name, flags = struct.unpack("16sh", fcntl.ioctl(control, SIOCGIFFLAGS, asked))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", name, flags | IFF_UP))
    listening = socket.create_server(("127.0.0.1", PORT))
    parent = os.getpid()
    if os.fork() == 0:
        library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for each in PIPES:
            with suppress(OSError):
                os.close(each)
        if os.getppid() == parent:
            asyncio.run(_forward(listening, path))
        os._exit(0)
    listening.close()
    os.execv(command[0], command)


async def _forward(listening: socket.socket, path: str) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far, to_far = await asyncio.open_unix_connection(path)
            try:
                await _between((reader, writer), (far, to_far))
            finally:
                to_far.close()
        writer.close()

    server = await asyncio.start_server(forward, sock=listening)
    await server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
