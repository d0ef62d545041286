"""Standard input, output and error as they may be: closed, full, or a pipe that is not read any more.

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
    """Names itself in its errors, which those of the system do not."""

    def write(self, content: Any, /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            raise OSError(error.errno, error.strerror, OUTPUT) from None


class _Closed(io.TextIOBase):
    """Stands in for an output that was closed before we were started; Python would drop what is written there."""

    def write(self, text: str, /) -> int:
        raise OSError(errno.EBADF, "is closed", OUTPUT)

    def writable(self) -> bool:
        return True


def prepare() -> None:
    """Let errors of stdout name it, and fill the places of closed streams, which the next opened file would take."""
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
    """Write what is left, so that nothing goes wrong after the exit code was chosen; a sentence if that cannot be."""
    problem = None
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, AttributeError) as error:
            if number == 1:
                problem = f"{OUTPUT}: {getattr(error, 'strerror', error)}"
            # What is still in its buffer would be written, and complained about, when Python ends.
            with suppress(OSError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
                stream.flush()
    return problem
