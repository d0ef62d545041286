"""Compressed bytes that are read again within bounds: a few bytes of zlib's can stand for gigabytes."""

from __future__ import annotations

import zlib
from typing import Final

__all__ = ["packed", "unpacked"]

SMALLEST: Final = 9


def packed(content: bytes) -> bytes:
    """The content, as small as zlib makes it."""
    return zlib.compress(content, SMALLEST)


def unpacked(data: bytes, longest: int) -> bytes:
    """What was packed. Raises ValueError for anything else, and for more than `longest` bytes."""
    reader = zlib.decompressobj()
    try:
        content = reader.decompress(data, longest)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not reader.eof:
        raise ValueError(f"is not whole, or has more than {longest} bytes")
    return content
