"""gRPC through a gateway with gRPC's own library on both sides: calls, streams in both directions, deadlines, statuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Final

import grpc
import pytest

from reconciler.proxy.haproxy.runtime import Runtime
from tests.proxy.conftest import Replica, docker, until
from tests.proxy.haproxy.gateway.conftest import HTTP, HTTPS, GatewayWorld

pytestmark = pytest.mark.docker

HOST: Final = "grpc.test"
ROUTE: Final[dict[str, Any]] = {"hostnames": [HOST], "appProtocol": "kubernetes.io/h2c"}
SECONDS: Final = 20.0
"""Patience of a call that is answered at once."""
SERVERS: Final = 2
LARGE: Final = bytes(3 << 20)


class Echo(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A service of a few methods; messages are bytes as they are."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cancelled = threading.Event()

    def service(self, details: Any) -> Any:
        """The handler of a method."""
        return {
            "/echo.Echo/Say": grpc.unary_unary_rpc_method_handler(self.say),
            "/echo.Echo/Repeat": grpc.unary_stream_rpc_method_handler(self.repeat),
            "/echo.Echo/Join": grpc.stream_unary_rpc_method_handler(self.join),
            "/echo.Echo/Talk": grpc.stream_stream_rpc_method_handler(self.talk),
            "/echo.Echo/Refuse": grpc.unary_unary_rpc_method_handler(self.refuse),
            "/echo.Echo/Wait": grpc.unary_unary_rpc_method_handler(self.wait),
        }.get(details.method)

    def say(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """One for one, and what was seen of the client in the metadata before and after it."""
        seen = dict(context.invocation_metadata())
        context.send_initial_metadata(
            [("x-server", self.name), ("x-seen", seen.get("x-forwarded-proto", ""))]
        )
        context.set_trailing_metadata([("x-after", "1"), ("x-raw-bin", b"\0\xff")])
        return message

    def repeat(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Ten for one."""
        for _ in range(10):
            yield message

    def join(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """One for all."""
        return b"".join(messages)

    def talk(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Each at once."""
        yield from messages

    def refuse(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """An error, which gRPC says in a trailer of an answer with status 200."""
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: 100 %")
        return b""

    def wait(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        """Until the client gives up."""
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(SECONDS)
        return message


@pytest.fixture(scope="module")
def servers(namespace: tuple[str, str]) -> Iterator[dict[str, tuple[Echo, Replica]]]:
    """Servers of this process, on the engine's bridge."""
    bridge = docker("inspect", "--format={{.NetworkSettings.Gateway}}", namespace[0])
    made, running = {}, []
    try:
        for name in (f"one{number}" for number in range(SERVERS)):
            server = grpc.server(ThreadPoolExecutor(8))
            echo = Echo(name)
            server.add_generic_rpc_handlers((echo,))
            port = server.add_insecure_port(f"{bridge}:0")
            server.start()
            running.append(server)
            made[name] = (echo, Replica(name, f"{bridge}:{port}"))
        yield made
    finally:
        for server in running:
            server.stop(None).wait(SECONDS)


@pytest.fixture
def served(front: GatewayWorld, servers: dict[str, tuple[Echo, Replica]]) -> GatewayWorld:
    front.serve(ROUTE, replicas=[replica for _, replica in servers.values()])
    runtime = Runtime(front.master(), front.held_by("s"))
    until(
        lambda: [each.up for each in runtime.processes()[0].servers if "OK" in each.check] == [True] * SERVERS
    )
    return front


@pytest.fixture(params=["h2c", "TLS"])
def channel(served: GatewayWorld, request: pytest.FixtureRequest) -> Iterator[grpc.Channel]:
    """A connection of its own, and not one that gRPC remembers of another test."""
    options = [("grpc.default_authority", HOST), ("grpc.use_local_subchannel_pool", 1)]
    if request.param == "TLS":
        trusted = (served.site.config / "tls" / "default.pem").read_bytes()
        credentials = grpc.ssl_channel_credentials(trusted[trusted.index(b"-----BEGIN CERTIFICATE") :])
        options.append(("grpc.ssl_target_name_override", "default"))
        made = grpc.secure_channel(f"{served.address}:{HTTPS}", credentials, options)
    else:
        made = grpc.insecure_channel(f"{served.address}:{HTTP}", options)
    with made:
        yield made


def test_a_call_with_its_metadata(channel: grpc.Channel) -> None:
    say = channel.unary_unary("/echo.Echo/Say")
    seen = set()
    for number in range(20):
        answer, call = say.with_call(b"%d" % number, timeout=SECONDS, metadata=[("x-client", "me")])
        assert answer == b"%d" % number
        assert (call.code(), dict(call.trailing_metadata())) == (
            grpc.StatusCode.OK,
            {"x-after": "1", "x-raw-bin": b"\0\xff"},
        )
        seen.add(dict(call.initial_metadata())["x-server"])
    assert seen == {"one0", "one1"}


def test_a_message_of_megabytes(channel: grpc.Channel) -> None:
    assert channel.unary_unary("/echo.Echo/Say")(LARGE, timeout=SECONDS) == LARGE


def test_streams_in_one_direction(channel: grpc.Channel) -> None:
    parts = [b"%d" % number for number in range(500)]
    assert channel.stream_unary("/echo.Echo/Join")(iter(parts), timeout=SECONDS) == b"".join(parts)
    assert list(channel.unary_stream("/echo.Echo/Repeat")(b"x", timeout=SECONDS)) == [b"x"] * 10


def test_a_conversation_is_not_buffered(channel: grpc.Channel) -> None:
    """Each message is only sent when the one before it has come back."""
    came = threading.Semaphore(1)

    def spoken() -> Iterator[bytes]:
        for number in range(20):
            assert came.acquire(timeout=SECONDS)
            yield b"%d" % number

    numbers = count()
    for answer in channel.stream_stream("/echo.Echo/Talk")(spoken(), timeout=SECONDS):
        assert answer == b"%d" % next(numbers)
        came.release()
    assert next(numbers) == 20


def test_many_calls_at_once_on_one_connection(channel: grpc.Channel) -> None:
    say = channel.unary_unary("/echo.Echo/Say")
    calls = [say.future(b"%d" % number, timeout=SECONDS) for number in range(300)]
    assert [call.result() for call in calls] == [b"%d" % number for number in range(300)]


@pytest.mark.parametrize(
    ("method", "code", "details"),
    [
        ("/echo.Echo/Refuse", grpc.StatusCode.FAILED_PRECONDITION, "not today: 100 %"),
        ("/echo.Echo/Nothing", grpc.StatusCode.UNIMPLEMENTED, "Method not found!"),
    ],
)
def test_a_status_arrives(channel: grpc.Channel, method: str, code: grpc.StatusCode, details: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method)(b"", timeout=SECONDS)
    assert (caught.value.code(), caught.value.details()) == (code, details)


def test_a_client_that_gives_up_is_told_to_the_server(
    channel: grpc.Channel, servers: dict[str, tuple[Echo, Replica]]
) -> None:
    echoes = [echo for echo, _ in servers.values()]
    for echo in echoes:
        echo.cancelled.clear()
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/echo.Echo/Wait")(b"", timeout=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: any(echo.cancelled.is_set() for echo in echoes))


def test_what_the_gateway_refuses_is_an_error_of_grpc(front: GatewayWorld) -> None:
    """Its answers have statuses of HTTP, which gRPC's clients translate."""
    for route, code in (
        (ROUTE | {"maintenance": True}, grpc.StatusCode.UNAVAILABLE),
        (ROUTE | {"allowFrom": ["203.0.113.0/24"]}, grpc.StatusCode.PERMISSION_DENIED),
    ):
        front.serve(route)
        options = [("grpc.default_authority", HOST), ("grpc.use_local_subchannel_pool", 1)]
        with (
            grpc.insecure_channel(f"{front.address}:{HTTP}", options) as channel,
            pytest.raises(grpc.RpcError) as caught,
        ):
            channel.unary_unary("/echo.Echo/Say")(b"", timeout=SECONDS)
        assert caught.value.code() is code, caught.value
