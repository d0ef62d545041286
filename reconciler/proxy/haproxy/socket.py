"""Sends commands to one HAProxy over its master socket, and changes to the current worker over its own.

The master socket outlives reloads, reaches every process ("@1" is the current worker, "@!PID" any other), and still answers
while HAProxy stops, when the workers' own sockets are closed already. All commands of one call are sent in one write on one
connection, each on its own line, because the master splits at ";" and would send only the first of them to the worker.

The master passes on one command at a time, which are two switches between processes. A busy machine needs milliseconds for
each, and twenty servers a hundred commands: the worker itself takes them in one line.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from reconciler.core.desired.stack import Site
from reconciler.proxy.errors import ProxyAwayError, ProxyError, quoted
from reconciler.proxy.haproxy.directory import opened

__all__ = ["CURRENT", "Command", "Master", "Payload", "ask", "ask_worker", "converse", "exchange", "process"]

TIMEOUT: Final = 2.0
"""Seconds from connecting to the last byte of an answer."""

CURRENT: Final = "@1"
"""The prefix that sends a command to the current worker; also after a reload that failed."""

_NO_PROCESS: Final = ("Can't find the target", "Can't connect to the target")

MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes of all answers to one call: a thousand servers take 300 KiB."""

_CREDENTIALS: Final = struct.Struct("3i")
"""struct ucred: process, user and group."""


@dataclass(frozen=True, slots=True)
class Master:
    """The master process of one HAProxy; all calls together have to be answered before `until` (monotonic seconds)."""

    site: Site
    slot: int
    until: float


@dataclass(frozen=True, slots=True)
class Payload:
    """A command with lines below it, such as the entries of a map. HAProxy reads all of it into one buffer."""

    command: str
    lines: tuple[str, ...]


Command = str | Payload


def process(pid: int) -> str:
    """The prefix that sends a command to one process."""
    return f"@!{pid}"


def ask(master: Master, commands: Sequence[Command], *, timeout: float = TIMEOUT) -> tuple[str, ...]:
    """Send commands, one per line or with a payload, and return as many answers, without trailing line ends.

    An answer ends at an empty line; an empty one means success for most commands. Raises ProxyAwayError
    when the socket accepts no connection or the addressed process has ended, and ProxyError when there is no answer
    within `timeout` seconds or none to some of the commands.
    """
    return _answers(master, commands, converse(master, commands, timeout=timeout))


def ask_worker(master: Master, commands: Sequence[str], *, timeout: float = TIMEOUT) -> tuple[str, ...]:
    """Send commands to the worker that listens on its own socket, in one line; the rest is as in `ask`.

    During a reload that may be a former worker.
    """
    _expect_single(commands)
    said = exchange(master, "admin", f"{';'.join(commands)}\n", commands[0], timeout)
    return _answers(master, commands, said)


def converse(master: Master, commands: Sequence[Command], *, timeout: float = TIMEOUT) -> str:
    """Send commands and return the raw answer; raises as `ask` does."""
    text = "".join(map(_text, commands))
    return exchange(master, "master", text, _name(commands[0]), timeout)


def _answers(master: Master, commands: Sequence[Command], said: str) -> tuple[str, ...]:
    answers: list[str] = []
    lines: list[str] = []
    for line in said.split("\n")[:-1]:
        if line:
            lines.append(line)
        else:
            answers.append("\n".join(lines))
            lines = []
    if lines and lines[-1].startswith(_NO_PROCESS):
        # The master closes the connection at the first process that it does not have.
        raise ProxyAwayError(f"HAProxy in slot {master.slot} has no such worker: {quoted(lines[-1])}")
    if len(answers) != len(commands):
        raise ProxyError(
            f"HAProxy in slot {master.slot} gave {len(answers)} answers to {len(commands)} commands, "
            f'"{_name(commands[0])}" first: {quoted(" ".join(lines)) or "nothing more"}'
        )
    return tuple(answers)


def _text(command: Command) -> str:
    if isinstance(command, str):
        _expect_single([command])
        return f"{command}\n"
    # An empty line would end the payload, and what follows would be commands.
    if not all(line and line.isprintable() for line in command.lines):
        raise ProxyError(
            f"the payload of {quoted(command.command)!r} would be more than a payload to HAProxy"
        )
    return _text(f"{command.command} <<") + "".join(f"{line}\n" for line in command.lines) + "\n"


def _name(command: Command) -> str:
    return command if isinstance(command, str) else command.command


def _expect_single(commands: Sequence[str]) -> None:
    for command in commands:
        if ";" in command or not command.isprintable():
            raise ProxyError(f"{quoted(command)!r} would be more than one command to HAProxy")


def exchange(master: Master, kind: str, text: str, first: str, timeout: float) -> str:
    """What is said to a text on one connection to a socket of this kind; `first` is what an error quotes of it. Raises as
    `ask` does.
    """
    began = time.monotonic()
    deadline = min(began + timeout, master.until)
    received = bytearray()
    try:
        with _connected(master, kind, deadline) as connection:
            connection.sendall(text.encode())
            # After a half-close HAProxy answers everything and then closes its side.
            connection.shutdown(socket.SHUT_WR)
            while True:
                # One deadline for the whole answer: one that arrives byte by byte gets no more time.
                connection.settimeout(_left(deadline))
                if not (chunk := connection.recv(65536)):
                    return received.decode(errors="replace")
                received += chunk
                if len(received) > MAX_ANSWER:
                    raise ProxyError(f"HAProxy in slot {master.slot} answers without end")
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise ProxyAwayError(
            f"HAProxy in slot {master.slot} is not running: its socket accepts no connection"
        ) from error
    except TimeoutError as error:
        waited = max(0.0, deadline - began)
        raise ProxyError(
            f'HAProxy in slot {master.slot} did not answer "{quoted(first)}" in {waited:.3g} s'
        ) from error
    except OSError as error:
        raise ProxyError(
            f"HAProxy in slot {master.slot} cannot be asked: {error.strerror or error}"
        ) from error


def _left(deadline: float) -> float:
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


@contextmanager
def _connected(master: Master, kind: str, deadline: float) -> Iterator[socket.socket]:
    """A connection to HAProxy's own socket, never through a link in its directory."""
    name = f"{kind}-{master.slot}.sock"
    with (
        opened(master.site.run) as directory,
        _socket_file(directory, name, master) as file,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection,
    ):
        connection.settimeout(_left(deadline))
        # By the descriptor: the name may refer to another file by now, and may be too long for a socket address.
        connection.connect(f"/proc/self/fd/{file}")
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, user, _ = _CREDENTIALS.unpack(told)
        _expect_owner(user, name, master)
        yield connection


@contextmanager
def _socket_file(directory: int, name: str, master: Master) -> Iterator[int]:
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISSOCK(found.st_mode):
            raise ProxyError(
                f"HAProxy in slot {master.slot} cannot be asked: {name} in {master.site.run} is no socket; "
                "the process that created it can write into that directory"
            )
        _expect_owner(found.st_uid, name, master)
        yield descriptor
    finally:
        os.close(descriptor)


def _expect_owner(user: int, name: str, master: Master) -> None:
    starter = master.site.uid if master.site.starter is None else master.site.starter
    if user != starter:
        raise ProxyError(
            f"HAProxy in slot {master.slot} cannot be asked: {name} in {master.site.run} belongs to user {user}, "
            f"not to HAProxy's, {starter}"
        )
