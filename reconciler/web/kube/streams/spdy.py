"""Frames of SPDY/3.1, as far as `kubectl port-forward` uses it inside of a WebSocket.

It has no flow control there: a reader that is slow holds back the whole connection. Sources: the SPDY protocol, draft 3.1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Data", "Framer", "Opened", "Ping", "Reset", "SpdyError"]

VERSION: Final = 3
CONTROL: Final = 0x80000000
SYN_STREAM: Final = 1
SYN_REPLY: Final = 2
RST_STREAM: Final = 3
PING: Final = 6
FIN: Final = 1
CANCEL: Final = 5
HEAD: Final = struct.Struct(">LL")
MAX_CONTROL: Final = 16 * 1024
MAX_HEADERS: Final = 16 * 1024
MAX_FRAME: Final = 1024 * 1024

_NAMES: Final = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length content-location "
    "content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match "
    "if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range "
    "referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method "
    "get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin"
)
_TEXTS: Final = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY: Final = (
    b"".join(struct.pack(">L", len(name)) + name.replace("_", " ").encode() for name in _NAMES.split())
    + _TEXTS.encode()
)
"""What both sides take as said before the first header; the protocol defines it."""


class SpdyError(ValueError):
    """The peer does not keep to the protocol."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer opens a stream."""

    stream: int
    headers: Mapping[str, str] = field(repr=False)
    ends: bool


@dataclass(frozen=True, slots=True)
class Data:
    """Data of a stream; `ends`: the last."""

    stream: int
    data: bytes = field(repr=False)
    ends: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The peer gives a stream up."""

    stream: int


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer asks whether we are there."""

    number: int


Frame = Opened | Data | Reset | Ping


class Framer:
    """Reads and writes the frames of one connection."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now; others are ignored. Raises SpdyError."""
        self._rest += data
        while len(self._rest) >= HEAD.size:
            first, second = HEAD.unpack_from(self._rest)
            flags, length = second >> 24, second & 0xFFFFFF
            if length > (MAX_CONTROL if first & CONTROL else MAX_FRAME):
                raise SpdyError(f"a frame of {length} bytes is too long")
            if len(self._rest) < HEAD.size + length:
                return
            body = bytes(self._rest[HEAD.size : HEAD.size + length])
            del self._rest[: HEAD.size + length]
            if not first & CONTROL:
                yield Data(first, body, bool(flags & FIN))
                continue
            if (first >> 16) & 0x7FFF != VERSION:
                raise SpdyError("it is another version of SPDY")
            try:
                frame = self._control(first & 0xFFFF, flags, body)
            except struct.error:
                raise SpdyError("a frame is too short") from None
            if frame is not None:
                yield frame

    def _control(self, type_: int, flags: int, body: bytes) -> Frame | None:
        match type_:
            case 1:
                stream, _, _ = struct.unpack_from(">LLH", body)
                return Opened(stream & 0x7FFFFFFF, self._headers(body[10:]), bool(flags & FIN))
            case 3:
                (stream,) = struct.unpack_from(">L", body)
                return Reset(stream & 0x7FFFFFFF)
            case 6:
                (number,) = struct.unpack_from(">L", body)
                return Ping(number)
            case 2 | 8:
                # Read, because the headers of all frames are one compressed text.
                self._headers(body[4:])
        return None

    def _headers(self, packed: bytes) -> Mapping[str, str]:
        try:
            text = self._inflate.decompress(packed, MAX_HEADERS)
        except zlib.error:
            raise SpdyError("headers cannot be unpacked") from None
        if self._inflate.unconsumed_tail:
            raise SpdyError("headers are too long")
        (count,), position = struct.unpack_from(">L", text), 4
        found: dict[str, str] = {}
        for _ in range(count):
            words = []
            for _ in range(2):
                (length,) = struct.unpack_from(">L", text, position)
                words.append(text[position + 4 : position + 4 + length].decode("latin-1"))
                position += 4 + length
            found[words[0].lower()] = words[1]
        return found

    def reply(self, stream: int) -> bytes:
        """Says that a stream is open."""
        packed = self._deflate.compress(struct.pack(">L", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, struct.pack(">L", stream) + packed)

    def data(self, stream: int, data: bytes, *, ends: bool = False) -> bytes:
        """Data of a stream."""
        return HEAD.pack(stream, (FIN if ends else 0) << 24 | len(data)) + data

    def reset(self, stream: int) -> bytes:
        """Gives a stream up."""
        return _control(RST_STREAM, struct.pack(">LL", stream, CANCEL))

    def ping(self, number: int) -> bytes:
        """Answers a Ping."""
        return _control(PING, struct.pack(">L", number))


def _control(type_: int, body: bytes) -> bytes:
    return HEAD.pack(CONTROL | VERSION << 16 | type_, len(body)) + body
