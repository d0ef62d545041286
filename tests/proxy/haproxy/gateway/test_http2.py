"""HTTP/2 on both sides of a gateway, seen with curl; replicas that speak nothing else, as gRPC servers do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tests.e2e
from reconciler.proxy.haproxy.runtime import Runtime
from tests.proxy.conftest import Replica, docker, new_name, start_replica, until
from tests.proxy.haproxy.gateway.conftest import HTTP, HTTPS, GatewayWorld

pytestmark = pytest.mark.docker

PROGRAM = Path(*tests.e2e.__path__) / "plugins" / "grpc" / "program.py"
H2C: dict[str, Any] = {"hostnames": ["grpc.test"], "appProtocol": "kubernetes.io/h2c"}
PLAIN: dict[str, Any] = {"hostnames": ["a.test"]}


@pytest.fixture(scope="module")
def echoes() -> Iterator[list[Replica]]:
    """Two replicas that speak only HTTP/2."""
    names = [new_name("grpc"), new_name("grpc")]
    program = PROGRAM.read_text(encoding="utf-8")
    try:
        yield [start_replica(f"echo{number}", name, ["-c", program]) for number, name in enumerate(names)]
    finally:
        docker("rm", "--force", *names, check=False)


def curl(front: GatewayWorld, host: str, *options: str, port: int = HTTP) -> str:
    """The head of the answer with its trailers, its body, and the version and status."""
    scheme = "https" if port == HTTPS else "http"
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--insecure", "--dump-header", "-",
         "--connect-to", f"::{front.address}:{port}", "--write-out", "\n%{http_version} %{http_code}",
         *options, f"{scheme}://{host}:{port}/echo.Echo/Echo"],
        capture_output=True, text=True, timeout=40,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.fixture
def grpc(front: GatewayWorld, echoes: list[Replica]) -> GatewayWorld:
    front.serve(H2C, replicas=echoes)
    pool = front.held_by("s")
    assert pool.startswith("g")
    runtime = Runtime(front.master(), pool)
    # Checked, and not only believed.
    until(
        lambda: [server.up for server in runtime.processes()[0].servers if "OK" in server.check] == [True] * 2
    )
    return front


CALL = ("--data-binary", "ping", "--header", "te: trailers", "--header", "content-type: application/grpc")


@pytest.mark.parametrize(
    ("options", "port"), [(("--http2-prior-knowledge",), HTTP), (("--http2",), HTTPS)], ids=["h2c", "TLS"]
)
def test_a_call_and_its_trailers_pass(grpc: GatewayWorld, options: tuple[str, ...], port: int) -> None:
    seen = {curl(grpc, "grpc.test", *options, *CALL, port=port) for _ in range(10)}

    for answer in seen:
        # curl prints trailers with the head's lines, but after the body.
        assert answer.endswith("\n\npinggrpc-status: 0\n\n2 200")
        assert "content-type: application/grpc" in answer
    assert {name for name in ("echo0", "echo1") for answer in seen if f"x-replica: {name}" in answer} == {
        "echo0",
        "echo1",
    }


def test_a_client_of_http_1_reaches_them_as_well(grpc: GatewayWorld) -> None:
    answer = curl(grpc, "grpc.test", "--http1.1", *CALL)

    assert "\n\nping" in answer
    assert answer.endswith("\n1.1 200")


def test_a_body_of_several_frames_passes(grpc: GatewayWorld) -> None:
    body = "x" * 40_000
    done = subprocess.run(
        ["curl", "--silent", "--max-time", "20", "--http2-prior-knowledge", "--data-binary", "@-",
         "--connect-to", f"::{grpc.address}:{HTTP}", "http://grpc.test/"],
        input=body, capture_output=True, text=True, timeout=40,
    )  # fmt: skip
    assert done.stdout == body


@pytest.mark.parametrize(
    ("options", "port", "version"),
    [
        (("--http2",), HTTPS, "2 200"),
        (("--http1.1",), HTTPS, "1.1 200"),
        (("--http2-prior-knowledge",), HTTP, "2 200"),
        # An upgrade is no way past the rules: it is not taken, and not passed on.
        (("--http2",), HTTP, "1.1 200"),
    ],
)
def test_clients_of_http_2_reach_replicas_of_http_1(
    front: GatewayWorld,
    replicas: dict[str, Replica],
    options: tuple[str, ...],
    port: int,
    version: str,
) -> None:
    front.serve({**PLAIN, "path": "/echo.Echo/Echo", "stripPath": True}, replicas=[replicas["one"]])

    assert curl(front, "a.test", *options, port=port).endswith(version)
