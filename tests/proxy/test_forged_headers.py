"""What a server that follows CGI makes of a forged request, behind a real HAProxy.

The replica is Python's own WSGI server, which turns "-" into "_" and joins what then has the same name. It answers with the
environment that the application got. A gateway has a configuration of its own, so haproxy/gateway/test_forged_headers.py
has the same tests for one.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from tests.proxy.conftest import World

pytestmark = pytest.mark.docker

FORGED = "6.6.6.6"
HOST = "shop.example"


class Door(Protocol):
    """Where requests are sent to."""

    @property
    def address(self) -> str: ...

    @property
    def port(self) -> int: ...


def ask(
    door: Door, *headers: str, first: str = "GET / HTTP/1.1", payload: str = ""
) -> tuple[int, dict[str, str]]:
    """Send header lines as they are; the status and the environment."""
    lines = "".join(f"{header}\r\n" for header in (first, f"Host: {HOST}", *headers))
    with socket.create_connection((door.address, door.port), timeout=10) as client:
        client.sendall(f"{lines}\r\n{payload}".encode("latin-1"))
        answer = http.client.HTTPResponse(client)
        answer.begin()
        body = answer.read()
    return answer.status, json.loads(body) if answer.status == 200 else {}


def about_the_client(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if FORGED in value}


@pytest.mark.parametrize(
    "name",
    [
        *(
            "X-Forwarded-For",
            "X_Forwarded_For",
            "X-Forwarded_For",
            "X.Forwarded.For",
            "x~forwarded!for",
            "X_FORWARDED_FOR",
        ),
        *("X-Forwarded", "X_Forwarded", "X-Forwarded-Server", "Forwarded", "FORWARDED", "Forwarded-For"),
        *(
            "X_Forwarded_Proto",
            "X_Forwarded-Host",
            "X-Forwarded.Port",
            "X-Forwarded-Prefix",
            "X-Forwarded-SSL",
        ),
        *("X-Real-IP", "X_Real_IP", "X-Real-Port", "X-Scheme", "Front-End-Https", "X-Host"),
        *(
            "X-Client-IP",
            "Client_IP",
            "True-Client-IP",
            "CF-Connecting-IP",
            "CF_Connecting_IPv6",
            "Remote_Addr",
        ),
        *("X-Original-URL", "X_Original_URL", "X-Rewrite-URL", "Script-Name", "SCRIPT_NAME", "Path_Info"),
        *("Remote-User", "Remote_User", "X-Auth-Email", "X_Auth_Email", "Proxy", "PROXY", "Proxy-Connection"),
        *("Content_Length", "Transfer.Encoding", "Content_Type", "HTTP2-Settings", "Keep-Alive"),
    ],
)
def test_a_forged_header_reaches_no_application(wsgi: Door, name: str) -> None:
    status, environment = ask(wsgi, f"{name}: {FORGED}", "X-Custom: kept")
    assert status == 200
    assert about_the_client(environment) == {}
    assert environment["HTTP_X_CUSTOM"] == "kept"
    assert environment["HTTP_X_FORWARDED_PROTO"] == "http"
    assert environment["HTTP_X_FORWARDED_HOST"] == "shop.example"


@pytest.mark.parametrize("name", ["X_Request_ID", "X-Request_ID", "X.Request.ID"])
def test_a_second_request_id_is_not_joined_to_the_first(wsgi: Door, name: str) -> None:
    _, environment = ask(wsgi, f"{name}: forged", "X-Request-ID: order-7")
    assert environment["HTTP_X_REQUEST_ID"] == "order-7"
    _, environment = ask(wsgi, f"{name}: forged")
    assert "forged" not in environment["HTTP_X_REQUEST_ID"]


@pytest.mark.parametrize(
    "names",
    ["X-Forwarded-For", "close, X-Forwarded-For", "x-forwarded-proto, X-Forwarded-Host", "keep-alive,X-Forwarded-For",
     "X-Real-IP", "X-Request-ID", "Upgrade, X-Forwarded-For"],
)  # fmt: skip
def test_a_client_cannot_have_the_next_hop_drop_a_header(wsgi: Door, names: str) -> None:
    status, environment = ask(wsgi, f"Connection: {names}")
    assert status == 200
    assert environment.get("HTTP_CONNECTION", "").lower() in ("", "close", "keep-alive")
    assert "HTTP_X_FORWARDED_FOR" in environment


def test_an_upgrade_names_nothing_else(wsgi: Door) -> None:
    _, environment = ask(
        wsgi,
        "Connection: keep-alive, X-Forwarded-For, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    assert environment["HTTP_CONNECTION"].lower() == "upgrade"
    assert environment["HTTP_UPGRADE"] == "websocket"


def test_a_connection_that_carries_a_body_is_closed_after_it(wsgi: Door) -> None:
    # Else another request could follow a body that the replica has not been sent; see haproxy.cfg.template.
    assert ask(wsgi, "Content-Length: 4", payload="1234")[1]["HTTP_CONNECTION"] == "close"
    assert "HTTP_CONNECTION" not in ask(wsgi, "Content-Length: 0")[1]


def test_an_upgrade_has_no_body(wsgi: Door) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 4")
    assert ask(wsgi, *upgrade, payload="1234")[0] == 400


@pytest.mark.parametrize("upgrade", ["h2c", "H2C", "websocket, h2c"])
def test_an_upgrade_to_http_2_does_not_get_past_the_rules(wsgi: Door, upgrade: str) -> None:
    _, environment = ask(
        wsgi, "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABk"
    )
    assert not {"HTTP_UPGRADE", "HTTP_HTTP2_SETTINGS"} & environment.keys()


def test_a_tunnel_to_a_replica_is_refused(wsgi: Door) -> None:
    assert ask(wsgi, first="CONNECT shop.example:80 HTTP/1.1")[0] == 405


def test_ordinary_headers_arrive_as_they_were_sent(wsgi: Door) -> None:
    sent = {"Accept": "*/*", "Authorization": "Bearer x.y_z", "Cookie": "a=b; c_d=e", "Api_Key": "k", "X-Custom_Name": "1",
            "Content-Type": "text/plain", "TE": "trailers", "User-Agent": "t/1 (a_b)"}  # fmt: skip
    _, environment = ask(wsgi, *(f"{name}: {value}" for name, value in sent.items()), "Content-Length: 0")
    for name, value in sent.items():
        variable = name.upper().replace("-", "_")
        assert environment[variable if variable == "CONTENT_TYPE" else f"HTTP_{variable}"] == value


@pytest.mark.parametrize("kib", [15, 16, 24, 31])
def test_large_headers_pass_both_ways(wsgi: Door, kib: int) -> None:
    # In pieces: Python's server takes 64 KiB, other servers less in one line.
    pieces = [f"Cookie: {'c' * 1000}" for _ in range(kib)]
    status, environment = ask(wsgi, *pieces, f"X-Answer: {kib * 1000}")
    assert status == 200
    assert len(environment["HTTP_COOKIE"]) >= kib * 1000


def test_larger_ones_are_the_clients_mistake(wsgi: Door) -> None:
    assert ask(wsgi, f"Cookie: {'c' * 40_000}")[0] == 400


def test_room_for_headers_is_a_setting_and_comes_with_a_reload(wsgi: World) -> None:
    before = wsgi.stack
    wsgi.stack = replace(before, proxy=replace(before.proxy, header_kib=64))
    try:
        wsgi.proxy.configure(wsgi.stack, list(_servers(wsgi)))
        wsgi.proxy.reload(wsgi.stack, 1)
        assert ask(wsgi, *(f"Cookie: {'c' * 1000}" for _ in range(60)))[0] == 200
    finally:
        wsgi.stack = before
        wsgi.proxy.configure(before, list(_servers(wsgi)))
        wsgi.proxy.reload(before, 1)


def _servers(world: World) -> Iterator[tuple[str, str]]:
    return ((server.name, server.address) for server in world.servers().values())


def test_events_are_sent_on_while_they_come(wsgi: Door) -> None:
    with socket.create_connection((wsgi.address, wsgi.port), timeout=10) as client:
        client.sendall(f"GET /events HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/event-stream\r\n\r\n".encode())
        received = b""
        while b"data: 1" not in received:
            received += client.recv(4096)
        assert b"data: 2" not in received
        while b"data: 2" not in received:
            received += client.recv(4096)
