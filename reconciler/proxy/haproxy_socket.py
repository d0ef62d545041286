"""One question to one HAProxy over its master socket.

The master socket alone is used: it outlives reloads, reaches every process ("@1" is the current worker, "@!PID" any
other), and still answers while HAProxy stops, when the workers' own sockets are closed already. All commands of one
question travel in one write on one connection, each on a line of its own, because the master reads a ";" itself and
would send only the first of them to the worker.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from reconciler.proxy.errors import ProxyAwayError, ProxyError

__all__ = ["CURRENT", "address_of", "ask", "converse", "process"]

TIMEOUT: Final = 2.0
"""Seconds from connecting to the last byte of an answer."""

CURRENT: Final = "@1"
"""The prefix that sends a command to the current worker; also after a reload that failed."""

_NO_PROCESS: Final = ("Can't find the target", "Can't connect to the target")

MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes of all answers to one question: a thousand servers take 300 KiB."""
MAX_QUOTE: Final = 200
"""Characters of an answer that an error repeats."""

_LONGEST_ADDRESS: Final = 107
"""Bytes of a socket address, without its terminating zero."""


def process(pid: int) -> str:
    """The prefix that sends a command to one process."""
    return f"@!{pid}"


def ask(run: Path, slot: int, commands: Sequence[str], *, timeout: float = TIMEOUT) -> tuple[str, ...]:
    """Send commands, one per line, and return as many answers, without their last line ends.

    An answer ends at an empty line; one that is nothing else means success to most commands. Raises ProxyAwayError
    when nobody listens or a process that was named is gone, and ProxyError when there is no answer within `timeout`
    seconds or none to some of the commands.
    """
    said = converse(run, slot, commands, timeout=timeout)
    answers: list[str] = []
    lines: list[str] = []
    for line in said.split("\n")[:-1]:
        if line:
            lines.append(line)
        else:
            answers.append("\n".join(lines))
            lines = []
    if lines and lines[-1].startswith(_NO_PROCESS):
        # The master ends the conversation at the first process that it does not have.
        raise ProxyAwayError(f"HAProxy in slot {slot} has no such worker: {lines[-1]}")
    if len(answers) != len(commands):
        raise ProxyError(
            f"HAProxy in slot {slot} gave {len(answers)} answers to {len(commands)} commands, "
            f'"{commands[0]}" first: {" ".join(lines)[:MAX_QUOTE] or "nothing more"}'
        )
    return tuple(answers)


def converse(run: Path, slot: int, commands: Sequence[str], *, timeout: float = TIMEOUT) -> str:
    """Send commands and return all that is answered, as it is; raises as `ask` does."""
    for command in commands:
        if ";" in command or not command.isprintable():
            raise ProxyError(f"{command[:MAX_QUOTE]!r} would be more than one command to HAProxy")
    deadline = time.monotonic() + timeout
    received = bytearray()
    try:
        with _connected(run, slot, timeout) as connection:
            connection.sendall("".join(f"{command}\n" for command in commands).encode())
            # The end of our side makes HAProxy answer everything and then close its own.
            connection.shutdown(socket.SHUT_WR)
            while True:
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                if not (chunk := connection.recv(65536)):
                    return received.decode(errors="replace")
                received += chunk
                if len(received) > MAX_ANSWER:
                    raise ProxyError(f"HAProxy in slot {slot} answers without end")
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise ProxyAwayError(
            f"HAProxy in slot {slot} is not running: nobody listens on its socket"
        ) from error
    except TimeoutError as error:
        raise ProxyError(f'HAProxy in slot {slot} did not answer "{commands[0]}" in {timeout:g} s') from error
    except OSError as error:
        raise ProxyError(f"HAProxy in slot {slot} cannot be asked: {error.strerror or error}") from error


@contextmanager
def _connected(run: Path, slot: int, timeout: float) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        with address_of(run / f"master-{slot}.sock") as address:
            connection.connect(address)
        yield connection


@contextmanager
def address_of(path: Path) -> Iterator[str]:
    """A socket's address, valid in the block: the path, or a shorter name for the same where that is too long."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
