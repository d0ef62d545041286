"""HTTP/2 through a gateway, by h2load and nghttp: many streams, odd frames, uploads; and frames that no client may send."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.plugins.grpc.program import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    SETTINGS,
    frame,
)
from tests.http_clients import counts, told
from tests.proxy.conftest import Replica
from tests.proxy.haproxy.gateway.conftest import HTTP, HTTPS, GatewayWorld

pytestmark = pytest.mark.docker

PLAIN: Final[dict[str, Any]] = {"hostnames": ["a.test"]}
RST_STREAM, GOAWAY, WINDOW_UPDATE, CONTINUATION = 3, 7, 8, 9
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR, COMPRESSION_ERROR = 1, 3, 5, 6, 9
AUTHORITY: Final = b"\x41" + bytes([6]) + b"a.test"
"""A literal `:authority` of HPACK."""
GET: Final = b"\x82\x86\x84" + AUTHORITY
"""`:method: GET`, `:scheme: http`, `:path: /`."""


def literal(name: str, value: str) -> bytes:
    """A header of HPACK that no table has."""
    return b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


@pytest.fixture
def served(front: GatewayWorld, replicas: dict[str, Replica]) -> GatewayWorld:
    front.serve(PLAIN, replicas=list(replicas.values()))
    return front


@pytest.mark.parametrize("port", [HTTP, HTTPS], ids=["h2c", "TLS"])
def test_many_streams_are_all_answered(served: GatewayWorld, port: int) -> None:
    scheme = "https" if port == HTTPS else "http"
    seen = told(
        "h2load", "--requests=2000", "--clients=4", "--max-concurrent-streams=50", "--warm-up-time=0",
        f"--connect-to={served.address}:{port}", f"{scheme}://a.test:{port}/",
    )  # fmt: skip

    assert "Application protocol: h2" in seen
    assert counts(seen) == {
        "total": 2000, "started": 2000, "done": 2000, "succeeded": 2000, "failed": 0, "errored": 0, "timeout": 0,
        "2xx": 2000, "3xx": 0, "4xx": 0, "5xx": 0,
    }  # fmt: skip


def test_http_1_by_the_same_client(served: GatewayWorld) -> None:
    seen = told(
        "h2load", "--h1", "--requests=500", "--clients=4",
        f"--connect-to={served.address}:{HTTPS}", f"https://a.test:{HTTPS}/",
    )  # fmt: skip

    assert "Application protocol: http/1.1" in seen
    assert counts(seen)["2xx"] == 500


@pytest.mark.parametrize(
    "options",
    [
        ("--multiply=40", "--no-dep"),
        ("--multiply=40",),
        ("--padding=200", "--multiply=5"),
        # The head is cut into several frames.
        ("--continuation", f"--header=x-long: {'y' * 4000}"),
        # Small windows: the body comes in many parts, each asked for.
        ("--window-bits=4", "--connection-window-bits=4"),
        ("--header-table-size=0",),
        ("--header-table-size=65536", "--encoder-header-table-size=65536", "--multiply=5"),
        ("--no-rfc7540-pri", "--no-push"),
    ],
    ids=lambda options: " ".join(options)[:40],
)
@pytest.mark.parametrize("port", [HTTP, HTTPS], ids=["h2c", "TLS"])
def test_what_clients_may_do_is_understood(served: GatewayWorld, options: tuple[str, ...], port: int) -> None:
    scheme = "https" if port == HTTPS else "http"
    seen = told(
        "nghttp", "--verbose", "--null-out", "--no-verify-peer", "--timeout=20", *options,
        "--header=:authority: a.test", f"{scheme}://{served.address}:{port}/",
    )  # fmt: skip

    count = next((int(each.partition("=")[2]) for each in options if each.startswith("--multiply")), 1)
    assert seen.count(":status: 200") == count, seen
    assert "error_code=NO_ERROR" in seen or "GOAWAY" not in seen


@pytest.mark.parametrize(
    "options", [(), ("--no-content-length",), ("--expect-continue",), ("--trailer=x-sum: 1",)]
)
def test_an_upload_comes_back_whole(served: GatewayWorld, options: tuple[str, ...], tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"0123456789abcdef" * 20_000)
    seen = told(
        "nghttp", "--timeout=20", *options, f"--data={body}", "--header=:authority: a.test",
        f"http://{served.address}:{HTTP}/echo",
    )  # fmt: skip

    assert seen.encode() == body.read_bytes()


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (frame(HEADERS, END_HEADERS | END_STREAM, 2, GET), PROTOCOL_ERROR),
        (frame(DATA, END_STREAM, 0, b"x"), PROTOCOL_ERROR),
        (frame(DATA, END_STREAM, 1, b"x"), PROTOCOL_ERROR),
        (frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff" * 20), COMPRESSION_ERROR),
        (frame(HEADERS, END_STREAM, 1, GET) + frame(DATA, END_STREAM, 1, b"x"), PROTOCOL_ERROR),
        (frame(CONTINUATION, END_HEADERS, 1, GET), PROTOCOL_ERROR),
        (frame(SETTINGS, 0, 0, b"x"), FRAME_SIZE_ERROR),
        (frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
        (frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 31)), FLOW_CONTROL_ERROR),
        (frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0)), PROTOCOL_ERROR),
        (frame(HEADERS, END_HEADERS | END_STREAM, 1, bytes(1 << 20))[:9], FRAME_SIZE_ERROR),
    ],
    ids=[
        "an even stream", "data of no stream", "data before a head", "a broken head", "data inside a head",
        "a continuation of nothing", "settings of a wrong size", "settings of a stream", "a window too large",
        "a window of nothing", "a frame too large",
    ],
)  # fmt: skip
def test_frames_that_break_the_protocol_end_the_connection(
    served: GatewayWorld, sent: bytes, error: int
) -> None:
    with http2(served) as connection:
        connection.sendall(sent)
        kind, payload = answer(connection)
        assert (kind, int.from_bytes(payload[4:8], "big")) == (GOAWAY, error)


@pytest.mark.parametrize(
    "head",
    [
        GET + literal("X-Upper", "1"),
        GET + literal("connection", "close"),
        GET + literal("transfer-encoding", "chunked"),
        GET + literal("te", "gzip"),
        GET + b"\x82",
        b"\x82\x86" + AUTHORITY,
        b"\x82\x84" + AUTHORITY,
        GET + literal(":late", "1"),
        GET + literal("x", "1") + b"\x84",
        GET + literal("x-bad", "a\r\nx-injected: 1"),
        GET + literal("x bad", "1"),
        GET + literal("content-length", "5"),
        GET + literal("content-length", "0") + literal("content-length", "1"),
    ],
    ids=[
        "a name in upper case", "connection", "transfer-encoding", "te", "two methods", "no path", "no scheme",
        "an unknown pseudo header", "a late pseudo header", "a line break", "a space in a name",
        "a length without a body", "two lengths",
    ],
)  # fmt: skip
def test_requests_that_are_none_reach_no_replica(served: GatewayWorld, head: bytes) -> None:
    """They would be smuggled: HAProxy writes them to the replica as HTTP/1.1."""
    with http2(served) as connection:
        connection.sendall(frame(HEADERS, END_HEADERS | END_STREAM, 1, head))
        kind, payload = answer(connection)
        if kind == HEADERS:
            # As HPACK has it in its own table: 400.
            assert payload[0] == 0x8C, payload
        else:
            assert kind in (RST_STREAM, GOAWAY)
            assert int.from_bytes(payload[-4:] if kind == RST_STREAM else payload[4:8], "big") != 0


def test_a_tls_client_that_wants_neither_version_gets_http_1(served: GatewayWorld) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2c", "spdy/3"])
    with (
        socket.create_connection((served.address, HTTPS), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname="a.test") as connection,
    ):
        assert connection.selected_alpn_protocol() is None
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


@contextmanager
def http2(front: GatewayWorld) -> Iterator[socket.socket]:
    """A connection whose settings are exchanged."""
    with socket.create_connection((front.address, HTTP), timeout=20) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
        yield connection


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """The first frame that answers something: no setting and no window."""
    stream = connection.makefile("rb")
    while True:
        head = stream.read(9)
        assert len(head) == 9, "the connection was closed without a word"
        kind, flags, payload = head[3], head[4], stream.read(int.from_bytes(head[:3], "big"))
        if kind == SETTINGS and not flags & ACK:
            connection.sendall(frame(SETTINGS, ACK, 0))
        elif kind not in (SETTINGS, WINDOW_UPDATE):
            return kind, payload
