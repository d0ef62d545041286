"""What the template does to a request and its answer, seen from both sides of a real HAProxy."""

from __future__ import annotations

import base64
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.proxy.conftest import World

pytestmark = pytest.mark.docker

MADE_UP = "6.6.6.6"


def test_the_replica_learns_what_haproxy_saw_and_nothing_the_client_made_up(front: World) -> None:
    _, _, body = front.get(
        Host="shop.example:8443",
        X_Forwarded_For=MADE_UP,
        X_Forwarded_Proto="https",
        X_Forwarded_Evil="1",
        Forwarded=f"for={MADE_UP}",
        X_Real_IP=MADE_UP,
    )

    seen = {name.lower(): value for name, value in body["headers"].items()}
    about_origin = {name for name in seen if name.startswith(("x-forwarded-", "forwarded", "x-real-"))}
    assert about_origin == {f"x-forwarded-{what}" for what in ("for", "proto", "host", "port")}
    assert seen["x-forwarded-for"] != MADE_UP
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == "shop.example:8443"
    assert seen["x-forwarded-port"] == "8443"


def test_a_host_without_a_port_means_port_80(front: World) -> None:
    _, _, body = front.get(Host="shop.example")

    assert {name.lower(): value for name, value in body["headers"].items()}["x-forwarded-port"] == "80"


@pytest.mark.parametrize(
    ("sent", "kept"), [("order-7.a", True), ("a b", False), ("x" * 129, False), (None, False)]
)
def test_every_request_has_one_id_everywhere(front: World, sent: str | None, kept: bool) -> None:
    _, answer, body = front.get(**({"X_Request_ID": sent} if sent else {}))

    assert set(answer.get_all("X-Request-ID") or ()) == {body["request_id"]}
    assert (body["request_id"] == sent) is kept
    assert len(body["request_id"]) >= 9


def test_answers_carry_security_headers(front: World) -> None:
    _, answer, _ = front.get()

    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert answer["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert "Server" not in answer


def test_websockets_pass_and_count_as_sessions(front: World) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection(("127.0.0.1", front.port), timeout=10) as client:
        client.sendall(
            "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        assert head.startswith(b"HTTP/1.1 101")
        # A text frame whose mask is zero is its own plain text.
        client.sendall(b"\x81\x82\x00\x00\x00\x00hi")
        assert client.recv(4096) == b"\x81\x02hi"
        assert front.servers()["one"].sessions == 1

    deadline = time.monotonic() + 60
    while front.servers()["one"].sessions:
        assert time.monotonic() < deadline
        time.sleep(0.02)
