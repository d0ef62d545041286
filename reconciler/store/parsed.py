"""What the files of a directory come to, parsed again only when their content has changed.

A pass reads the object and the status of its service, and most passes find what the one before has found. The files are
still read each time, since any process may replace them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

__all__ = ["Parsed"]

Value = TypeVar("Value")


class Parsed(Generic[Value]):
    """The values of files; `parse` makes one of a content and may raise. Threads may share it, and must not change the
    values.
    """

    def __init__(self, parse: Callable[[bytes], Value]) -> None:
        self._parse = parse
        self._known: dict[Path, tuple[bytes, Value]] = {}

    def of(self, path: Path, content: bytes) -> Value:
        """The value of this content of a file."""
        known = self._known.get(path)
        if known is None or known[0] != content:
            known = self._known[path] = (content, self._parse(content))
        return known[1]

    def forget(self, path: Path) -> None:
        """The file no longer exists."""
        self._known.pop(path, None)
