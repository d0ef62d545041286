"""Reads a file that a user names: a regular UTF-8 file of bounded size; every failure is a Problem.

Manifests and settings files share these rules. A pipe is refused because reading it could block for ever.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from reconciler.api.errors import ManifestError, Problem

__all__ = ["MAX_BYTES", "check_size", "decode", "read_bytes", "read_text"]

MAX_BYTES: Final = 1024 * 1024


def read_text(path: Path) -> str:
    """The text of a regular UTF-8 file of at most MAX_BYTES. Raises ManifestError if it is not."""
    return decode(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """The content of a regular file, up to one byte more than MAX_BYTES. Raises ManifestError if it has none."""
    try:
        if path.exists() and not path.is_file():
            raise _problem(path, "is not a regular file", "name a file on disk")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _problem(path, "does not exist", "check the path") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "unknown reason"
        raise _problem(path, f"cannot be read: {reason}", "check the path and its permissions") from None


def decode(content: bytes, path: Path) -> str:
    """`content` as text, without a byte order mark. Raises ManifestError if it is too long or not UTF-8."""
    check_size(content, path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise _problem(path, "is not UTF-8", "save it as UTF-8", line, column) from None


def check_size(content: bytes, path: Path) -> None:
    """Raises ManifestError for content of more than MAX_BYTES."""
    if len(content) > MAX_BYTES:
        raise _problem(path, f"is larger than {MAX_BYTES // 1024} KiB", "split it")


def _problem(path: Path, message: str, suggestion: str, line: int = 0, column: int = 0) -> ManifestError:
    return ManifestError([Problem(path, line, column, "", message, suggestion)])
