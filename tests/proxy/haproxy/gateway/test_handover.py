"""Reloads, hand-overs and changes of other routes cut no request and no connection of a gateway."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from reconciler.api.tcp import TcpRoute
from reconciler.api.vaultgateway import GatewayTimeouts
from reconciler.core.routes.logins import Logins
from reconciler.proxy.haproxy.gateway.render import GATEWAY_FILE, structure
from reconciler.proxy.haproxy.runtime import Runtime
from tests.proxy.conftest import docker, until
from tests.proxy.haproxy.gateway.conftest import HTTP, HTTPS, POOLS, SPEC, SSH, GatewayWorld

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica

pytestmark = pytest.mark.docker

SECRET = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"
"""The hash of "secret"."""
GRACE = 0.7
"""Seconds."""
ROUTES = (
    {"hostnames": ["a.test"]},
    {"hostnames": ["a.test"], "path": "/api", "stripPath": True},
    TcpRoute(port=SSH, target=22),
)


@dataclass
class Clients:
    """Clients that repeat requests, on fresh and on kept connections; `lost` is what did not get a 200."""

    address: str
    answered: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.02
    lost: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, port: int, path: str, *, tls: bool, keep: bool) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self.ended.is_set():
            try:
                connection = connection or connect(self.address, port, tls=tls)
                connection.request("GET", path, headers={"Host": "a.test", **self.headers})
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    self.answered += 1
                else:
                    self.lost.append(f"{port}{path}: {answer.status}")
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{port}{path}: {error!r}")
                keep_this = False
            else:
                keep_this = keep
            if not keep_this and connection:
                connection.close()
                connection = None
            self.ended.wait(self.pause)
        if connection:
            connection.close()


def connect(address: str, port: int, *, tls: bool) -> http.client.HTTPConnection:
    """A connection that is opened with its first request; no certificate is checked."""
    if tls:
        context = ssl._create_unverified_context()
        return http.client.HTTPSConnection(address, port, timeout=30, context=context)
    return http.client.HTTPConnection(address, port, timeout=30)


def leave(world: GatewayWorld) -> None:
    """Tell the HAProxy of slot 1 to leave, and wait until its worker does."""
    docker("kill", "--signal=USR1", world.containers[1])
    until(lambda: Runtime(world.master(), "h001").processes()[0].info.stopping)


KINDS = ((HTTP, "/", False), (HTTPS, "/", True), (HTTP, "/api/healthz", False), (SSH, "/healthz", False))


@contextmanager
def load(
    world: GatewayWorld,
    kinds: Sequence[tuple[int, str, bool]] = KINDS,
    pause: float = 0.02,
    **headers: str,
) -> Iterator[Clients]:
    """HTTP, HTTPS, a stripped path and TCP, while something else happens."""
    clients = Clients(world.address, headers=headers, pause=pause)
    threads = [
        threading.Thread(target=clients.run, args=(port, path), kwargs={"tls": tls, "keep": keep})
        for port, path, tls in kinds
        # A TCP connection cannot be handed over: one that is kept open is cut at the drain deadline.
        for keep in (False, port != SSH)
    ]
    for thread in threads:
        thread.start()
    try:
        until(lambda: clients.answered > 20)
        yield clients
        enough = clients.answered + 40
        until(lambda: clients.answered > enough)
    finally:
        clients.ended.set()
        for thread in threads:
            thread.join(40)


def test_reload_and_hand_over_lose_nothing(world: GatewayWorld, replicas: dict[str, Replica]) -> None:
    world.write(SPEC)
    world.start()
    world.serve(*ROUTES, replicas=[replicas["one"], replicas["two"]])

    with load(world) as clients:
        _replace_twice(world)

    assert clients.lost == []


def test_a_crowd_finds_the_successor_among_sockets_of_others(
    world: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    """Of the sockets of all slots one has a listener, and requests that look for it at once take turns."""
    world.write(SPEC)
    world.start()
    world.serve(*ROUTES, replicas=[replicas["one"], replicas["two"]])

    with load(world, [(HTTP, "/", False)] * 32, pause=0.0) as clients:
        for seconds in range(61, 67):
            world.spec = SPEC.model_copy(update={"timeouts": GatewayTimeouts(client=float(seconds))})
            world.write(world.spec)
            Runtime(world.master(), "h001").reload(structure(world.spec, POOLS))

    assert clients.lost == []


def test_nothing_is_handed_on_before_the_own_sockets_are_closed(
    world: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    """What waits in a socket that closes is lost. With `grace` HAProxy leaves for a while and still listens."""
    world.write(SPEC)
    path = world.site.config / GATEWAY_FILE
    path.write_text(path.read_text().replace("global\n", f"global\n    grace {GRACE * 1000:.0f}ms\n", 1))
    world.start()
    world.serve(*ROUTES, replicas=[replicas["one"]])
    with closing(http.client.HTTPConnection(world.address, HTTP, timeout=10)) as kept:
        ask = partial(kept.request, "POST", "/echo", b"x", {"Host": "a.test"})
        ask()
        assert kept.getresponse().read() == b"x"
        world.start(2, handover=1)
        began = time.monotonic()
        leave(world)
        ask()
        assert kept.getresponse().read() == b"x"
    assert time.monotonic() - began > GRACE


@pytest.mark.parametrize("port", [HTTP, HTTPS])
def test_who_has_no_successor_answers_by_itself(
    world: GatewayWorld, replicas: dict[str, Replica], port: int
) -> None:
    """The next request on a connection that a client had kept, to a HAProxy that leaves its node for good."""
    world.write(SPEC)
    world.start()
    world.serve(*ROUTES, replicas=[replicas["one"]])
    with closing(connect(world.address, port, tls=port == HTTPS)) as kept:
        ask = partial(kept.request, "POST", "/echo", b"x", {"Host": "a.test"})
        ask()
        assert kept.getresponse().read() == b"x"
        leave(world)
        ask()
        answer = kept.getresponse()
        assert (answer.status, answer.read(), answer.will_close) == (200, b"x", True)


def test_who_has_no_successor_lets_nothing_through_unasked(
    world: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    """An auth service is asked by way of a socket that is closed by then."""
    world.write(SPEC)
    world.start()
    auth = {"forward": {"service": "s", "path": "/slow?ms=30"}}
    world.serve(
        {"hostnames": ["a.test"]}, {"hostnames": ["b.test"], "auth": auth}, replicas=[replicas["one"]]
    )
    statuses = []
    with closing(connect(world.address, HTTP, tls=False)) as kept:
        for host in ("a.test", "b.test"):
            kept.request("GET", "/healthz", headers={"Host": host})
            answer = kept.getresponse()
            answer.read()
            statuses.append(answer.status)
            if host == "a.test":
                leave(world)
    assert statuses == [200, 503]


def test_requests_that_are_checked_are_not_lost_either(
    world: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    """A worker that leaves while it asks, or computes a hash, leaves the decision to the next one."""
    world.write(SPEC)
    world.start()
    inside = {"hostnames": ["a.test"], "stripPath": True}
    world.serve(
        *ROUTES,
        {**inside, "path": "/named", "auth": {"basic": {"file": "/x"}}},
        {**inside, "path": "/asked", "auth": {"forward": {"service": "s", "path": "/slow?ms=30"}}},
        replicas=[replicas["one"], replicas["two"]],
        logins={"s.2": Logins({"ada": SECRET})},
    )
    checked = [(port, f"/{kind}/", port == HTTPS) for port in (HTTP, HTTPS) for kind in ("named", "asked")]
    login = base64.b64encode(b"ada:secret").decode()

    with load(world, checked, Authorization=f"Basic {login}") as clients:
        _replace_twice(world)

    assert clients.lost == []


def _replace_twice(world: GatewayWorld) -> None:
    """A reload, then a hand-over and another one."""
    changed = SPEC.model_copy(update={"timeouts": GatewayTimeouts(client=61.0)})
    world.spec = changed
    world.write(changed)
    Runtime(world.master(), "h001").reload(structure(changed, POOLS))
    world.start(2, handover=1)
    docker("kill", "--signal=USR1", world.containers[1])
    until(lambda: docker("inspect", "--format={{.State.Status}}", world.containers[1]) == "exited")
    docker("rm", "--force", world.containers.pop(1))
    world.start(1, handover=2)
    docker("kill", "--signal=USR1", world.containers[2])
    until(lambda: docker("inspect", "--format={{.State.Status}}", world.containers[2]) == "exited")


def test_what_other_services_do_touches_no_connection(
    world: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    """Other routes, checks and pools come, change and go beside load and one long answer; no process is started."""
    world.write(SPEC)
    world.start()
    both = [replicas["one"], replicas["two"]]
    world.serve(*ROUTES, replicas=both)
    before = world.pids()
    body: list[bytes] = []
    stream = threading.Thread(target=lambda: body.append(world.get("a.test", "/stream?seconds=4").body))
    stream.start()

    with load(world) as clients:
        for number, host in zip(range(12), cycle(["b.test", "*.b.test", "c.test"]), strict=False):
            others = [{"hostnames": [host], "path": f"/v{number}", "compression": bool(number % 2)}]
            if number % 3 == 0:
                others.append({"hostnames": ["d.test"], "sticky": "cookie"})
            world.serve(*ROUTES, *others, replicas=both)
        assert world.get(host, f"/v{number}/healthz").status == 404

    stream.join(60)
    assert clients.lost == []
    assert body[0].endswith(b"end\n")
    assert world.pids() == before


def test_a_new_process_reads_the_routes_from_the_files(
    world: GatewayWorld, replicas: dict[str, Replica]
) -> None:
    world.write(SPEC)
    world.serve(*ROUTES, replicas=[replicas["one"]])
    world.start()

    assert world.get("a.test").headers["x-replica"] == "one"
    assert world.get("a.test", "/api/healthz").status == 200
