"""Which connection is closed when there are too many."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from reconciler.web import server as server_module
from reconciler.web.connections import MAX_PER_CLIENT, Connections, RareErrors
from reconciler.web.server import Server
from tests.e2e.waiting import until


@dataclass(eq=False)
class Fake:
    client_address: str
    silent_since: float | None = 0.0
    closed: bool = False

    def hang_up(self) -> None:
        self.closed = True


def test_the_one_of_the_same_client_that_was_silent_longest_makes_room() -> None:
    connections = Connections(most=10, most_of_one=3)
    other, *mine = Fake("b", 0.0), Fake("a", 2.0), Fake("a", 1.0), Fake("a", None), Fake("a", 3.0)
    for each in (other, *mine):
        connections.add(each)
    assert [each.closed for each in (other, *mine)] == [False, False, True, False, False]


def test_one_that_is_being_answered_is_never_closed() -> None:
    connections = Connections(most=10, most_of_one=2)
    busy, new = [Fake("a", None), Fake("a", None)], Fake("a", 5.0)
    for each in (*busy, new):
        connections.add(each)
    assert [each.closed for each in (*busy, new)] == [False, False, True]


def test_when_all_are_too_many_the_client_with_most_makes_room() -> None:
    connections = Connections(most=4, most_of_one=4)
    greedy, modest = [Fake("a", at) for at in (1.0, 2.0, 3.0)], Fake("b", 0.0)
    for each in (*greedy, modest, new := Fake("c", 9.0)):
        connections.add(each)
    assert [each.closed for each in (*greedy, modest, new)] == [True, False, False, False, False]


def test_a_closed_one_counts_no_more() -> None:
    connections = Connections(most=10, most_of_one=1)
    first, second = Fake("a"), Fake("a")
    connections.add(first)
    connections.remove(first)
    connections.remove(first)
    connections.add(second)
    assert not second.closed


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def test_many_idle_connections_keep_no_request_out() -> None:
    app = Starlette(routes=[Route("/", hello)])
    with Server(app, port=0) as server, ExitStack() as held:
        for _ in range(3 * MAX_PER_CLIENT):
            idle = held.enter_context(socket.create_connection((server.host, server.port), timeout=5))
            idle.sendall(b"GET / HTTP/1.1\r\n")
        assert httpx.get(server.url, timeout=5).text == "hello"


def test_answers_that_no_client_takes_keep_no_request_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each client asks twice for more than the buffers hold: the second answer waits for the first to be taken."""
    monkeypatch.setattr(server_module, "STALLED_SECONDS", 0.1)
    body = b"x" * (256 << 10)

    async def large(request: Request) -> Response:
        return Response(body if request.url.path == "/large" else b"hello")

    app = Starlette(routes=[Route("/{path:path}", large)])
    server = Server(app, port=0)
    server._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with server, ExitStack() as stack:
        for _ in range(MAX_PER_CLIENT):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect((server.host, server.port))
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
            assert connection.recv(10)
        until("another client is answered", lambda: answers(server))


def answers(server: Server) -> bool:
    try:
        return httpx.get(server.url, timeout=5).text == "hello"
    except httpx.TransportError:
        return False


def test_used_up_descriptors_are_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    told: list[object] = []

    class Loop:
        def default_exception_handler(self, context: object) -> None:
            told.append(context)

    handler = RareErrors(lambda: now)
    for now in (0.0, 1.0, 59.0, 60.0, 61.0):  # noqa: B007
        handler(Loop(), {"exception": OSError(errno.EMFILE, "Too many open files")})
    assert len(caplog.records) == 2
    handler(Loop(), {"message": "else"})
    assert told == [{"message": "else"}]
