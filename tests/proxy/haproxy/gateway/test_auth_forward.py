"""Auth services behind a real HAProxy: what they are asked, what becomes of their answers, what clients cannot forge."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.api.route import Route
from reconciler.core.routes.claims import Claimant
from tests.proxy.haproxy.gateway.auth_server import AuthServer
from tests.proxy.haproxy.gateway.conftest import PROXIED, START, Answer, GatewayWorld

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker

CLIENT = "9.9.9.9"


@pytest.fixture(params=["service", "url"])
def guarded(
    request: pytest.FixtureRequest, front: GatewayWorld, replicas: dict[str, Replica], auth: AuthServer
) -> Any:
    """Serve a.test, guarded by a service or by an address, and return a function that makes a request."""

    def serve(route: dict[str, Any] | None = None, **forward: Any) -> Any:
        where = (
            {"service": "auth", "path": "/verify"}
            if request.param == "service"
            else {"url": f"{auth.url}/verify"}
        )
        guard = {"hostnames": ["a.test"], "auth": {"forward": {**where, **forward}}, **(route or {})}
        theirs = Claimant("auth", START, (Route.model_validate({"hostnames": ["auth.test"]}, by_alias=True),))
        front.serve(guard, replicas=[replicas["one"]], services=[theirs], others={"auth": [auth.replica]})
        return ask

    def ask(path: str = "/", *, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        line = f"PROXY TCP4 {CLIENT} 10.0.0.1 1000 80\r\n".encode()
        return front.get("a.test:8443", path, method=method, body=body, port=PROXIED, before=line, **headers)

    ask.kind = request.param  # type: ignore[attr-defined]
    serve.kind = request.param  # type: ignore[attr-defined]
    return serve


def test_the_auth_service_learns_what_is_asked_for(guarded: Any, auth: AuthServer) -> None:
    ask = guarded()
    auth.says(200)
    answer = ask(
        "/echo?a=b&c=%20",
        method="POST",
        body=b"secret body",
        Cookie="session=1",
        Authorization="Bearer mine",
        X_Request_ID="order-7",
    )
    assert answer.status == 200
    ((path, asked),) = auth.asked
    assert path == "/verify"
    about = {name: value for name, value in asked.items() if name.startswith("x-")}
    about.pop("x-forwarded-port", None)
    assert about == {
        "x-forwarded-method": "POST",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "a.test:8443",
        "x-forwarded-uri": "/echo?a=b&c=%20",
        "x-forwarded-for": CLIENT,
        "x-request-id": "order-7",
    }
    assert (asked["cookie"], asked["authorization"]) == ("session=1", "Bearer mine")
    assert asked["host"] == ("auth.test" if guarded.kind == "service" else auth.replica.address)
    assert "content-length" not in asked or asked["content-length"] == "0"


def test_headers_of_the_answer_are_handed_on_and_those_of_the_client_are_not(
    guarded: Any, auth: AuthServer
) -> None:
    ask = guarded(responseHeaders=["Remote-User", "X-Auth-Email", "X-Roles"])
    auth.says(204, ("remote-user", "ada"), ("X-Roles", "one"), ("X-Roles", "two, three"), ("X-Other", "no"))
    forged = {
        "Remote-User": "root", "remote.user": "root", "REMOTE+USER": "root", "X-Auth-Email": "root@x",
        "x.auth.email": "root@x", "X-Roles": "admin", "Remote-Groups": "admins", "X-Other": "mine",
        "X-Vault-Pool": "h001", "X-Vault-For": "6.6.6.6", "X-Vault-Host": "evil.test", "X.Vault.Uri": "/evil",
        "X-Forwarded-User": "root",
    }  # fmt: skip
    answer = ask("/", **forged)

    assert answer.status == 200
    seen = {
        name: value
        for name, value in answer.seen.items()
        if "user" in name or "role" in name or "remote" in name or "auth" in name or name == "x-other"
    }
    assert seen == {"remote-user": "ada", "x-roles": "one, two, three", "x-other": "mine"}
    ((_, asked),) = auth.asked
    assert not {"remote-user", "remote-groups", "x-auth-email", "x-roles"} & asked.keys()
    assert not [name for name in asked if "vault" in name or "remote" in name]
    assert (asked["x-forwarded-uri"], asked["x-forwarded-host"]) == ("/", "a.test:8443")


def test_the_auth_service_may_give_the_replica_other_credentials(guarded: Any, auth: AuthServer) -> None:
    ask = guarded(responseHeaders=["Authorization"])
    auth.says(200, ("Authorization", "Bearer theirs"))
    assert ask("/", Authorization="Bearer mine").seen["authorization"] == "Bearer theirs"
    assert auth.asked[0][1]["authorization"] == "Bearer mine"
    auth.says(200)
    assert "authorization" not in ask("/", Authorization="Bearer mine").seen


@pytest.mark.parametrize("status", [301, 302, 303, 307, 400, 401, 403, 404, 429, 499])
def test_any_other_answer_is_the_clients(guarded: Any, auth: AuthServer, status: int) -> None:
    ask = guarded()
    auth.says(
        status,
        ("Location", "https://auth.test/?rd=https://a.test/"),
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2"),
        ("WWW-Authenticate", 'Bearer realm="x"'),
        ("Content-Type", "text/html"),
        body=b"<p>log in</p>",
    )
    answer = ask("/private")

    assert (answer.status, answer.body) == (status, b"<p>log in</p>")
    assert answer.headers["location"] == "https://auth.test/?rd=https://a.test/"
    assert answer.headers["www-authenticate"] == 'Bearer realm="x"'
    assert answer.headers["content-type"] == "text/html"
    assert "a=1" in answer.headers["set-cookie"] or "b=2" in answer.headers["set-cookie"]


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504])
def test_one_that_fails_lets_nothing_through(guarded: Any, auth: AuthServer, status: int) -> None:
    ask = guarded()
    auth.says(status, ("Remote-User", "ada"), body=b"a stack trace")
    answer = ask()

    assert answer.status == 503
    assert b"stack" not in answer.body


@pytest.mark.parametrize("size", [0, 1, 8192, 8193, 60_000, 400_000])
def test_a_refusal_of_any_size_is_a_refusal(guarded: Any, auth: AuthServer, size: int) -> None:
    ask = guarded()
    auth.says(401, body=b"x" * size)
    answer = ask()

    assert answer.status == 401
    assert answer.body == (b"x" * size if size <= 8192 else b"")
    assert ask(method="HEAD").status == 401


def test_one_that_says_nothing_in_time_lets_nothing_through(guarded: Any, auth: AuthServer) -> None:
    ask = guarded(timeout="500ms")
    auth.says(200, delay=3)
    began = time.monotonic()
    assert ask().status == 503
    assert time.monotonic() - began < 3


def test_one_that_hangs_up_lets_nothing_through(
    front: GatewayWorld, replicas: dict[str, Replica], auth: AuthServer
) -> None:
    with socket.create_server((auth.replica.address.partition(":")[0], 0)) as rude:
        ended = threading.Event()

        def hang_up() -> None:
            rude.settimeout(0.2)
            while not ended.is_set():
                with suppress(OSError):
                    rude.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://{rude.getsockname()[0]}:{rude.getsockname()[1]}/"
        try:
            front.serve(
                {"hostnames": ["a.test"], "auth": {"forward": {"url": url}}}, replicas=[replicas["one"]]
            )
            assert front.get("a.test").status >= 500
        finally:
            ended.set()
            thread.join()
    # Nothing listens there any more.
    assert front.get("a.test").status >= 500


@pytest.mark.parametrize("url", ["http://no-such-name.invalid/", "http://192.0.2.1/"])
def test_one_that_is_not_there_lets_nothing_through(
    front: GatewayWorld, replicas: dict[str, Replica], url: str
) -> None:
    auth = {"forward": {"url": url, "timeout": "1s"}}
    front.serve(
        {"hostnames": ["a.test"], "auth": auth}, {"hostnames": ["b.test"]}, replicas=[replicas["one"]]
    )
    began = time.monotonic()
    assert front.get("a.test").status == 503
    assert time.monotonic() - began < 15
    assert front.get("b.test").status == 200


def test_a_service_without_replicas_is_waited_for_and_lets_nothing_through(
    front: GatewayWorld, replicas: dict[str, Replica], auth: AuthServer
) -> None:
    theirs = Claimant("auth", START, (Route.model_validate({"hostnames": ["auth.test"]}, by_alias=True),))
    guard = {"hostnames": ["a.test"], "auth": {"forward": {"service": "auth", "timeout": "10s"}}}
    front.serve(guard, replicas=[replicas["one"]], services=[theirs], others={"auth": []}, hold=1.0)
    assert front.get("a.test").status == 503

    front.serve(guard, replicas=[replicas["one"]], services=[theirs], others={"auth": []}, hold=8.0)
    auth.says(200, ("Remote-User", "ada"))
    later = threading.Timer(1.0, lambda: front.have(front.held_by("auth"), [auth.replica]))
    later.start()
    answer = front.get("a.test")
    later.join()
    assert (answer.status, answer.seen["remote-user"]) == (200, "ada")


def test_a_service_without_a_route_lets_nothing_through(
    front: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    front.serve(
        {"hostnames": ["a.test"], "auth": {"forward": {"service": "auth"}}}, replicas=[replicas["one"]]
    )
    assert front.get("a.test").status == 503


def test_preflight_requests_need_no_login_and_answers_are_readable(guarded: Any, auth: AuthServer) -> None:
    ask = guarded({"cors": {"origins": ["https://b.test"], "credentials": True}})
    auth.says(401)
    assert ask(method="OPTIONS", Origin="https://b.test", Access_Control_Request_Method="GET").status == 204
    assert not auth.asked
    answer = ask(Origin="https://b.test")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, "https://b.test")
