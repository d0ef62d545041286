"""Requests that are written to get past the rules of a route, sent as bytes to a real HAProxy.

Paths and hosts are in test_routing.py, logins in test_auth_basic.py and test_auth_forward.py.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from tests.proxy.haproxy.gateway.conftest import HTTP, GatewayWorld

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker

MADE_UP = "6.6.6.6"
CLIENT = "9.9.9.9"
OPEN: dict[str, Any] = {"hostnames": ["a.test"]}
CLOSED: dict[str, Any] = {"hostnames": ["a.test", "b.test"], "path": "/admin", "allowFrom": ["10.255.0.0/16"]}

Fields = Sequence[tuple[str, str]]
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4


@pytest.fixture
def guarded(front: GatewayWorld, replicas: dict[str, Replica]) -> GatewayWorld:
    """A gateway whose /admin is closed to the tests, beside routes that are open."""
    front.serve(OPEN, CLOSED, replicas=[replicas["one"]])
    return front


def sent(front: GatewayWorld, request: bytes) -> bytes:
    """All that comes back for these bytes until the gateway closes."""
    with socket.create_connection((front.address, HTTP), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := _received(connection):
            answer += chunk
        return answer


def asked_by_h2(front: GatewayWorld, fields: Fields, body: bytes | None = None) -> tuple[int | None, bool]:
    """The status that HTTP/2 gets for these fields, None if the stream is reset; and whether a replica answered."""
    ends = END_STREAM if body is None else 0
    with opened(front, fields, ends) as connection:
        if body is not None:
            connection.sendall(_frame(DATA, END_STREAM, 1, body))
        return answered(connection)


def opened(front: GatewayWorld, fields: Fields, ends: int) -> socket.socket:
    """A connection of HTTP/2 with a request of these fields as its first stream."""
    connection = socket.create_connection((front.address, HTTP), timeout=20)
    head = _frame(SETTINGS, 0, 0, b"") + _frame(HEADERS, END_HEADERS | ends, 1, _block(fields))
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + head)
    return connection


def answered(connection: socket.socket) -> tuple[int | None, bool]:
    answer = b""
    while True:
        while len(answer) >= 9 and len(answer) >= (end := 9 + int.from_bytes(answer[:3], "big")):
            kind, payload, answer = answer[3], answer[9:end], answer[end:]
            if kind == HEADERS:
                return _status(payload), b"x-replica" in payload
            if kind in (RST_STREAM, GOAWAY):
                return None, False
        if not (chunk := _received(connection)):
            return None, False
        answer += chunk


def h2(
    path: str = "/", *, authority: str = "a.test", method: str = "GET", scheme: str = "http"
) -> list[tuple[str, str]]:
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]


@pytest.mark.parametrize(
    ("told", "client"),
    [
        (f"{MADE_UP}, {CLIENT}", CLIENT),
        (f"{MADE_UP}, {CLIENT}:4711", CLIENT),
        # By proxies in a row.
        (f"{MADE_UP}, {CLIENT}, 172.16.255.254", CLIENT),
        (f"{MADE_UP}, 172.16.255.252, 172.16.255.253, 172.16.255.254", "172.16.255.252"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(
    guarded: GatewayWorld, told: str, client: str
) -> None:
    assert guarded.get("a.test", X_Forwarded_For=told).seen["x-forwarded-for"] == client


@pytest.mark.parametrize("nearest", ["unknown", "_hidden", "client.test", f"{CLIENT}x", '""'])
@pytest.mark.parametrize("before", ["", f"{MADE_UP}, "])
def test_nothing_is_believed_before_an_entry_that_is_no_address(
    front: GatewayWorld, replicas: dict[str, Replica], nearest: str, before: str
) -> None:
    front.serve({**OPEN, "allowFrom": [f"{MADE_UP}/32"]}, replicas=[replicas["one"]])

    assert front.get("a.test", X_Forwarded_For=f"{before}{MADE_UP}, {nearest}").status == 403


@pytest.mark.parametrize(
    ("length", "body", "status"),
    [
        ("4", b"1234", None),
        ("5", b"12345", 413),
        (None, b"1", 411),
        (None, b"x" * 9000, 411),
        (None, None, None),
    ],
)
def test_a_body_of_http_2_has_a_largest_size_whatever_is_said_of_it(
    front: GatewayWorld,
    replicas: dict[str, Replica],
    length: str | None,
    body: bytes | None,
    status: int | None,
) -> None:
    front.serve({**OPEN, "maxBodySize": 4}, replicas=[replicas["one"]])
    fields = h2("/echo", method="POST") + ([("content-length", length)] if length else [])
    got, passed = asked_by_h2(front, fields, body)

    assert passed is (status is None)
    assert status is None or got == status


def test_a_websocket_of_http_2_is_no_body(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    front.serve({**OPEN, "maxBodySize": 4}, replicas=[replicas["one"]])
    # RFC 8441; the stream stays open, and the client says nothing before it has an answer.
    with opened(front, [*h2(method="CONNECT"), (":protocol", "websocket")], 0) as connection:
        assert answered(connection) == (200, True)


@pytest.mark.parametrize(
    "target",
    [
        "/admin",
        "http://a.test/admin",
        "http://A.test:80/admin",
        "https://a.test//admin",
        "http://b.test/admin",
        "admin",
        "?/admin",
        "*",
        "a.test/admin",
        "http:/admin",
        "x://y/admin",
        "/x#/../admin",
        "\\admin",
    ],
)
def test_no_form_of_a_target_leads_around_a_route(guarded: GatewayWorld, target: str) -> None:
    answer = sent(guarded, f"GET {target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n".encode())

    assert answer[9:12] in (b"400", b"403")


@pytest.mark.parametrize("target", ["a.test:80", "a.test:443", "127.0.0.1:80"])
def test_a_gateway_is_no_tunnel(guarded: GatewayWorld, target: str) -> None:
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"
    answer = sent(guarded, head.encode())

    assert answer[9:12] == b"405"


@pytest.mark.parametrize(
    "hosts",
    [
        ["a.test", "b.test"],
        ["b.test,a.test"],
        ["a.test@b.test"],
        ["b.test/.a.test"],
        ["b.test#.a.test"],
        ["b.test?a.test"],
        ["b.test\\a.test"],
        ["a.test b.test"],
    ],
)
def test_a_host_that_can_be_read_in_two_ways_is_refused(guarded: GatewayWorld, hosts: list[str]) -> None:
    lines = "".join(f"Host: {host}\r\n" for host in hosts)
    answer = sent(guarded, f"GET / HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())

    assert answer[9:12] == b"400"


@pytest.mark.parametrize(
    "fields",
    [
        h2("/admin"),
        h2("//admin"),
        h2("admin"),
        h2("http://a.test/admin"),
        h2("/x#/admin"),
        h2("/ HTTP/1.1\r\nX: /admin"),
        [*h2("/admin", authority="b.test"), ("host", "a.test")],
        [*h2(), (":authority", "b.test")],
        [*h2(), (":path", "/admin")],
        h2(authority="a.test,b.test"),
        h2(authority="b.test@a.test"),
        h2(method="GET /admin HTTP/1.1\r\nX:"),
        h2(scheme="http://a.test/admin?"),
        h2(method="CONNECT"),
        [*h2("/admin", method="CONNECT"), (":protocol", "websocket")],
        [*h2(), ("x: y\r\nx", "z")],
        [*h2(), ("x", "y\r\nz: z")],
        [*h2(), ("transfer-encoding", "chunked")],
        [*h2(), ("connection", "x")],
    ],
)
def test_no_field_of_http_2_leads_around_a_route(guarded: GatewayWorld, fields: Fields) -> None:
    status, passed = asked_by_h2(guarded, fields)

    assert (status in (400, 403, None), passed) == (True, False)


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5, 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length:",
        "Content_Length: 5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\x0bchunked",
        "Transfer_Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings",
        "Upgrade: websocket\r\nConnection: Upgrade",
    ],
)
def test_no_second_request_hides_in_a_body(guarded: GatewayWorld, framing: str) -> None:
    hidden = "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a.test\r\n\r\n"
    head = f"POST /echo HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{framing}\r\n\r\n"
    answer = sent(guarded, (head + hidden).encode("latin-1"))

    assert answer.count(b"HTTP/1.1 ") == 1
    # The connections that the gateway keeps to the replica are at the beginning of a request.
    assert [guarded.get("a.test").status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("sent", "closes"),
    [
        ({}, False),
        ({"body": b"1234"}, True),
        ({"body": b""}, False),
        ({"body": b"1\r\nx\r\n0\r\n\r\n", "Transfer_Encoding": "chunked"}, True),
        ({"body": b"1234", "Upgrade": "websocket"}, True),
    ],
)
def test_a_replica_is_told_to_close_after_a_body(
    guarded: GatewayWorld, sent: dict[str, Any], closes: bool
) -> None:
    assert (guarded.get("a.test", **sent).seen.get("connection") == "close") is closes


def test_no_request_is_taken_for_the_body_of_another(guarded: GatewayWorld) -> None:
    """HAProxy used connections again whose body it had not sent, if the replica had answered before it."""
    url = [
        "--silent",
        "--http2-prior-knowledge",
        "--connect-to",
        f"::{guarded.address}:{HTTP}",
        "http://a.test/",
    ]
    one = ["curl", "--max-time", "20", "--output", "/dev/null", "--write-out", "%{http_code}", *url]
    statuses = []
    for _ in range(30):
        # Refused by the replica before it has read the body; it then closes, and the answer may be lost with that.
        subprocess.run([*one, "--data-binary", "1234"], capture_output=True, timeout=30, check=False)
        statuses.append(subprocess.run(one, capture_output=True, text=True, timeout=30, check=True).stdout)

    assert statuses == ["200"] * 30


def test_a_get_of_http_2_with_a_body_is_one_with_a_body(guarded: GatewayWorld) -> None:
    assert asked_by_h2(guarded, h2(), b"1234") == (200, True)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


def _block(fields: Fields) -> bytes:
    """The fields as literals; those with a colon come first, as HTTP/2 wants."""
    ordered = sorted(fields, key=lambda field: not field[0].startswith(":"))
    return b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in ordered)


def _literal(text: str) -> bytes:
    raw = text.encode()
    assert len(raw) < 127
    return bytes([len(raw)]) + raw


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _status(block: bytes) -> int | None:
    """The status in front of a header block: indexed, or as HAProxy writes others."""
    known = {0x88: 200, 0x89: 204, 0x8C: 400, 0x8D: 404, 0x8E: 500}
    if block[0] in known:
        return known[block[0]]
    digits = block[2:5]
    return int(digits) if digits.isdigit() else None
