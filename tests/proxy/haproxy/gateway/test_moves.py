"""Requests that wait for a replica whose route goes, changes or leads elsewhere: they are decided once more."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import pytest

from reconciler.api.route import Route
from reconciler.api.tcp import TcpRoute
from reconciler.core.routes.claims import Claimant
from reconciler.core.routes.logins import Logins
from reconciler.proxy.haproxy.gateway.activity import read_activity
from tests.proxy.conftest import Replica, until
from tests.proxy.haproxy.gateway.conftest import HTTPS, SSH, START, Answer, GatewayWorld
from tests.proxy.haproxy.gateway.test_metrics import counted, holds

pytestmark = pytest.mark.docker

ROUTE: Final[dict[str, Any]] = {"hostnames": ["a.test"], "tls": {"redirect": False}}
HOLD: Final = 60.0
"""Much longer than any of this takes: what is answered before was not held to its end."""
SECRET: Final = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"

T = TypeVar("T")


class Waiting(Generic[T]):
    """A request in a thread of its own, which waits for a replica of the service s."""

    def __init__(self, front: GatewayWorld, ask: Callable[[], T]) -> None:
        self._came = list[T | Exception]()
        self._thread = threading.Thread(target=self._run, args=(ask,), daemon=True)
        self._thread.start()
        until(lambda: any(each.open for each in read_activity(front.master(), [front.held_by("s")])))

    def _run(self, ask: Callable[[], T]) -> None:
        try:
            self._came.append(ask())
        except Exception as error:
            self._came.append(error)

    @property
    def is_held(self) -> bool:
        return not self._came

    def result(self) -> T:
        """What came of it, long before its time is over."""
        self._thread.join(HOLD / 3)
        assert self._came, "it is still held"
        (came,) = self._came
        if isinstance(came, Exception):
            raise came
        return came


def other(**route: Any) -> Claimant:
    """Another service, with a route to the same host."""
    return Claimant("t", START, (Route.model_validate({**ROUTE, **route}, by_alias=True),))


def without_replica(front: GatewayWorld) -> None:
    """The service s has the host and no replica; the other one has a pool of its own."""
    front.serve(ROUTE, services=[other(hostnames=["t.test"])], hold=HOLD)


def waiting(front: GatewayWorld, path: str = "/", **options: Any) -> Waiting[Answer]:
    """A request to the service s."""
    without_replica(front)
    return Waiting(front, lambda: front.get("a.test", path, **options))


def moved_to(front: GatewayWorld, replica: Replica, **route: Any) -> None:
    """The other service gets the host."""
    front.serve(services=[other(**route)], others={"t": [replica]}, hold=HOLD)


def test_it_goes_to_the_other_place(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    held = waiting(front, "/api/echo", method="POST", body=b"x" * 300_000, X_Forwarded_For="203.0.113.7")
    moved_to(front, replicas["two"], path="/api", stripPath=True)

    answer = held.result()
    assert (answer.status, answer.headers["x-replica"], len(answer.body)) == (200, "two", 300_000)


def test_it_is_the_same_request(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    held = waiting(front, "/?a=b", X_Forwarded_For="203.0.113.7", X_Forwarded_Proto="https", Cookie="c=d")
    moved_to(front, replicas["two"])

    answer = held.result()
    assert answer.status == 200
    assert answer.seen["x-forwarded-for"] == "203.0.113.7"
    assert answer.seen["x-forwarded-proto"] == "https"
    assert answer.seen["cookie"] == "c=d"
    assert answer.seen["x-request-id"] == answer.headers["x-request-id"]


def test_a_request_by_https_stays_one(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    context = ssl._create_unverified_context()

    def ask() -> bytes:
        with (
            socket.create_connection((front.address, HTTPS), timeout=HOLD) as raw,
            context.wrap_socket(raw, server_hostname="a.test") as connection,
        ):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
            return connection.makefile("rb").read()

    without_replica(front)
    held = Waiting(front, ask)
    moved_to(front, replicas["two"])

    answer = held.result()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"x-forwarded-proto": "https"' in answer.lower()


@pytest.mark.parametrize(
    ("route", "status"),
    [
        (None, 404),
        ({"path": "/else"}, 404),
        ({"maintenance": True}, 503),
        ({"allowFrom": ["203.0.113.0/24"]}, 403),
        ({"redirect": {"hostname": "b.test"}}, 308),
        ({"auth": {"basic": {"file": "x"}}}, 401),
    ],
    ids=["gone", "another path", "maintenance", "networks", "a redirect", "a login"],
)
def test_it_meets_the_rules_of_its_route_by_now(
    front: GatewayWorld, replicas: dict[str, Replica], route: dict[str, Any] | None, status: int
) -> None:
    held = waiting(front)
    services = [] if route is None else [other(**route)]
    logins = {"t.0": Logins({"ada": SECRET})} if route and "auth" in route else {}
    front.serve(services=services, others={"t": [replicas["two"]]}, logins=logins, hold=HOLD)

    assert held.result().status == status


def test_its_pool_becomes_that_of_another_service(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    """The request was for a host that is nowhere any more."""
    held = waiting(front)
    pool = front.held_by("s")
    front.serve(services=[other(hostnames=["u.test"])], hold=HOLD)
    front.have(pool, [replicas["two"]])

    assert held.result().status == 404


def test_a_service_that_is_stopped_holds_nothing_any_more(front: GatewayWorld) -> None:
    held = waiting(front)
    front.serve(ROUTE, hold=HOLD, is_stopped=True)

    answer = held.result()
    assert answer.status == 503
    assert b"The service is stopped" in answer.body


def test_changes_of_others_let_nothing_go(front: GatewayWorld, replicas: dict[str, Replica]) -> None:
    held = waiting(front)
    front.serve(ROUTE, {"hostnames": ["b.test"], "maintenance": True}, hold=HOLD)
    assert front.get("b.test").status == 503
    time.sleep(1.0)
    assert held.is_held
    front.have(front.held_by("s"), [replicas["one"]])

    assert held.result().headers["x-replica"] == "one"


def test_it_is_counted(front: GatewayWorld) -> None:
    before = holds(front)["moved"]
    held = waiting(front)
    front.serve()

    assert held.result().status == 404
    assert holds(front)["moved"] == before + 1
    until(lambda: counted(front)['vault_route_active_requests{route="s.0"}'] == 0)


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_connection_of_tcp_as_well(
    front: GatewayWorld, replicas: dict[str, Replica], is_moved: bool
) -> None:
    def ask() -> bytes:
        with socket.create_connection((front.address, SSH), timeout=HOLD) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return connection.makefile("rb").read()

    claim = TcpRoute(port=SSH, target=22)
    front.serve(hold=HOLD, services=[Claimant("t", START, (), (claim,))])
    front.serve(claim, hold=HOLD)
    held = Waiting(front, ask)
    services = [Claimant("t", START, (), (claim,))] if is_moved else []
    front.serve(services=services, others={"t": [replicas["two"]]}, hold=HOLD)

    assert held.result().startswith(b"HTTP/1.0 200" if is_moved else b"")
    assert is_moved or held.result() == b""
