"""Handles standard input, output and error that are closed, full, or a pipe that is no longer read.

An answer that could not be written is an error, with one line and an exit code; it is no success and no traceback.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, Final

__all__ = ["OUTPUT", "flush", "prepare"]

OUTPUT: Final = "standard output"
"""The file name of errors of writing an answer."""

STANDARD: Final = (0, 1, 2)


class _Output(io.FileIO):
    """Adds its name to its errors, which those of the system lack."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            raise OSError(error.errno, error.strerror, OUTPUT) from None


class _Closed(io.TextIOBase):
    """Replaces an output that was closed at start; Python would silently drop the text."""

    def write(self, text: str, /) -> int:
        raise OSError(errno.EBADF, "is closed", OUTPUT)

    def writable(self) -> bool:
        return True


def prepare() -> None:
    """Let errors of stdout name it, and fill closed descriptors, which the next opened file would reuse."""
    for number in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = _Closed()
    elif sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        given = sys.stdout
        raw = _Output(given.fileno(), "w", closefd=False)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=given.encoding,
            errors=given.errors,
            line_buffering=given.line_buffering,
        )


def flush() -> str | None:
    """Flush the output, so that no error occurs after the exit code was chosen; returns a message if that fails."""
    problem = None
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, AttributeError) as error:
            if number == 1:
                problem = f"{OUTPUT}: {getattr(error, 'strerror', error)}"
            # Python would flush the rest of its buffer at exit, and print an error.
            with suppress(OSError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
                stream.flush()
    return problem
