"""Frames of SPDY: what one side writes the other one reads, in any pieces, and what is broken is refused."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.web.kube.streams.spdy import (
    DICTIONARY,
    MAX_CONTROL,
    Data,
    Framer,
    Opened,
    Ping,
    Reset,
    SpdyError,
)

DICTIONARY_ID = 0xE3C6A7C2
"""The checksum that the protocol says its dictionary has."""


class Client:
    """The other side: opens streams."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def open(self, stream: int, headers: dict[str, str], flags: int = 0) -> bytes:
        text = struct.pack(">L", len(headers))
        for pair in headers.items():
            for word in pair:
                text += struct.pack(">L", len(word)) + word.encode()
        packed = self._deflate.compress(text) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return self.control(1, struct.pack(">LLH", stream, 0, 0) + packed, flags)

    @staticmethod
    def control(type_: int, body: bytes, flags: int = 0) -> bytes:
        return struct.pack(">HHL", 0x8003, type_, flags << 24 | len(body)) + body


def test_the_dictionary_is_that_of_the_protocol() -> None:
    assert zlib.adler32(DICTIONARY) == DICTIONARY_ID


@given(st.integers(1, 40))
def test_frames_are_read_in_any_pieces(size: int) -> None:
    client, own = Client(), Framer()
    sent = (
        client.open(1, {"streamtype": "error", "port": "80", "requestid": "0"})
        + own.data(1, b"", ends=True)
        + client.open(3, {"streamtype": "data", "port": "80", "requestid": "0"})
        + own.data(3, b"hello")
        + own.ping(7)
        + own.reset(3)
    )
    reader = Framer()
    found = [
        frame for start in range(0, len(sent), size) for frame in reader.feed(sent[start : start + size])
    ]
    assert found == [
        Opened(1, {"streamtype": "error", "port": "80", "requestid": "0"}, False),
        Data(1, b"", True),
        Opened(3, {"streamtype": "data", "port": "80", "requestid": "0"}, False),
        Data(3, b"hello", False),
        Ping(7),
        Reset(3),
    ]


def test_replies_can_be_unpacked_one_after_the_other() -> None:
    own = Framer()
    inflate = zlib.decompressobj(zdict=DICTIONARY)
    for stream in (1, 3):
        packed = own.reply(stream)[12:]
        assert inflate.decompress(packed) == struct.pack(">L", 0)


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">HHL", 0x8002, 1, 0),
        struct.pack(">HHL", 0x8003, 1, MAX_CONTROL + 1),
        struct.pack(">LL", 1, 0xFFFFFF),
        Client.control(1, b"\0\0\0\1"),
        Client.control(1, b"\0" * 10 + b"no zlib"),
        Client.control(6, b""),
        Client().open(1, {"a": "b" * 200_000}),
    ],
    ids=["version", "long", "long data", "short", "packed", "ping", "bomb"],
)
def test_what_is_broken_is_refused(sent: bytes) -> None:
    with pytest.raises(SpdyError):
        list(Framer().feed(sent))


@given(st.binary(max_size=300))
def test_whatever_is_sent_is_read_or_refused(sent: bytes) -> None:
    with suppress(SpdyError):
        list(Framer().feed(sent))
