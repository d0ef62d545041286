"""What HAProxy does beyond the contract of every proxy (tests/contracts): nothing is lost under load, and its files."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from reconciler.api.errors import PermanentError
from reconciler.core.assess.observation import Admin
from reconciler.core.desired.stack import Stack
from reconciler.proxy.errors import ProxyError

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica, World

pytestmark = pytest.mark.docker

Replicas = dict[str, "Replica"]
Start = Callable[..., "Replica"]

ONE_BY_ONE = """
import contextlib, socket, time
with socket.create_server(("", 8000), backlog=128) as server:
    while True:
        client = server.accept()[0]
        with client, contextlib.suppress(OSError):
            client.settimeout(5)
            client.recv(65536)
            time.sleep({pause})
            client.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n[]")
"""
"""A server that takes one connection after the other and lets 128 of them wait, as many frameworks do by default.

A check that HAProxy gave up, which happens on a busy machine, does not end it."""


class Stream:
    """A long download in a thread of its own; `whole` when it came to its end."""

    def __init__(self, port: int, seconds: float) -> None:
        self.body = b""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.request("GET", f"/stream?seconds={seconds}")
        self._answer = self._connection.getresponse()
        self.replica = self._answer.headers["X-Replica"]
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            self.body = self._answer.read()
        except http.client.IncompleteRead as cut:
            self.body = cut.partial
        self._answer.close()
        self._connection.close()

    @property
    def whole(self) -> bool:
        self._thread.join(timeout=30)
        return self.body.endswith(b"end\n")


# Configuration


def test_configuration_is_written_once_and_validated_when_its_structure_changes(
    world: World, replicas: Replicas, change: Callable[..., Stack]
) -> None:
    world.configure()
    assert world.observe().written == world.observe().expected
    assert world.validated == ["haproxy:3.0"]

    world.configure(replicas["one"])
    assert world.observe().configured == {"one": replicas["one"].address}
    assert len(world.validated) == 1

    world.configure(replicas["one"], stack=change(world.stack, hold_seconds=1.0))
    assert len(world.validated) == 2
    assert world.observe().written != world.observe().expected


def test_files_are_for_haproxy_alone(world: World) -> None:
    world.configure()
    for path in world.stack.site.config.rglob("*"):
        status = path.stat()
        assert (status.st_uid, status.st_mode & 0o777) == (99, 0o750 if path.is_dir() else 0o640)
    assert not list(world.stack.site.directory.glob(".check-*"))


def test_a_configuration_that_haproxy_refuses_changes_nothing(world: World, replicas: Replicas) -> None:
    world.configure(replicas["one"])
    before = (world.stack.site.config / "haproxy.cfg").read_text()

    def refuse(image: str, directory: object, user: str) -> None:
        raise ProxyError("parsing [haproxy.cfg:7]: unknown keyword")

    refusing = type(world.proxy)(refuse, time.monotonic)
    other = replace(world.stack, proxy=replace(world.stack.proxy, hold_seconds=1.0))
    with pytest.raises(ProxyError, match="unknown keyword"):
        refusing.configure(other, [])
    assert (world.stack.site.config / "haproxy.cfg").read_text() == before


def test_another_image_has_to_accept_the_file_too(world: World) -> None:
    world.configure()
    (haproxy,) = world.stack.workloads
    other = replace(world.stack, workloads=(replace(haproxy, image="vault-reconciler/none:1"),))

    assert world.proxy.observe(other, []).written is None
    world.proxy.configure(other, [])
    assert world.validated == ["haproxy:3.0", "vault-reconciler/none:1"]
    observed = world.proxy.observe(other, [])
    assert observed.written == observed.expected


def test_what_an_image_has_accepted_is_not_checked_again_for_the_next_service(
    world: World, tmp_path: Path
) -> None:
    world.configure()
    other = replace(world.stack, site=replace(world.stack.site, directory=tmp_path / "other"))
    world.proxy.configure(other, [])
    assert world.validated == ["haproxy:3.0"]
    assert world.proxy.observe(other, []).written == world.proxy.observe(other, []).expected


def test_a_value_that_cannot_be_written_is_permanent(world: World, change: Callable[..., Stack]) -> None:
    hostile = change(world.stack, pool="web\n    server evil 10.0.0.1:80")
    for call in (lambda: world.proxy.configure(hostile, []), lambda: world.proxy.observe(hostile, [])):
        with pytest.raises(PermanentError, match="pool"):
            call()


# Servers


def test_servers_come_and_go_under_load_without_a_lost_request(world: World, replicas: Replicas) -> None:
    one, two, three = replicas.values()
    world.configure(one)
    world.start()

    with world.load() as loads:
        rounds = 0
        while rounds < 3 or sum(len(load.replicas) for load in loads) < 300:
            rounds += 1
            for coming, going in ((two, one), (three, two), (one, three)):
                world.add(coming)
                world.drain(going)
                world.until_free(going)
                world.delete(going)
    assert [load.lost for load in loads] == [[], [], [], []]
    assert {name for load in loads for name in load.replicas} == {"one", "two", "three"}
    assert set(world.servers()) == {"one"}


def test_an_untrusted_server_gets_nothing_before_its_first_good_check(
    world: World, replicas: Replicas, replica: Start
) -> None:
    one = replicas["one"]
    world.configure(one)
    world.start()
    late = replica("late", BOOT_SECONDS="1")

    with world.load() as loads:
        world.add(late, trusted=False)
        assert world.servers()["late"].admin is Admin.READY
        while True:
            answered = any("late" in load.replicas for load in loads)
            if "late" in world.up():
                break
            assert not answered
        world.until(lambda: any("late" in load.replicas for load in loads))
    assert [load.lost for load in loads] == [[], [], [], []]


def test_a_server_that_comes_up_or_goes_down_by_itself_is_an_event(
    world: World, replicas: Replicas, replica: Start
) -> None:
    news: SimpleQueue[str] = SimpleQueue()
    names = world.proxy.events()
    threading.Thread(target=lambda: deque(map(news.put, names), 0), daemon=True).start()
    one = replicas["one"]
    world.configure(one)
    world.start()
    world.servers()

    world.add(replica("late", BOOT_SECONDS="1"), trusted=False)
    while "late" not in world.up():
        assert news.get(timeout=60) == world.stack.name
    world.add(replace(one, name="dead", address=one.address.replace(":8000", ":1")))
    while "dead" in world.up():
        assert news.get(timeout=60) == world.stack.name


def test_a_trusted_server_serves_at_once_and_a_dead_one_leaves_by_itself(
    world: World, replicas: Replicas, replica: Start
) -> None:
    one = replicas["one"]
    world.configure(one)
    world.start()
    dead = replace(one, name="dead", address=one.address.replace(":8000", ":1"))

    world.add(dead)
    assert world.up() == {"one", "dead"}
    with world.load() as loads:
        world.until(lambda: world.up() == {"one"})
    assert [load.lost for load in loads] == [[], [], [], []]


# Holding


def test_requests_wait_for_the_only_replica_while_it_is_exchanged(world: World, replicas: Replicas) -> None:
    one, two, _ = replicas.values()
    world.configure(one)
    world.start()

    with world.load() as loads:
        world.drain(one)
        world.until(lambda: world.servers()["one"].sessions == 0)
        time.sleep(0.7)
        world.delete(one)
        world.add(two)
    assert [load.lost for load in loads] == [[], [], [], []]
    assert all(load.slowest > 0.6 for load in loads)


def test_a_request_that_was_held_too_long_is_told_when_to_come_back(
    world: World, change: Callable[..., Stack]
) -> None:
    world.configure(stack=change(world.stack, hold_seconds=0.6))
    world.start()

    began = time.monotonic()
    status, headers, _ = world.get()
    assert (status, headers["Retry-After"], headers["Cache-Control"]) == (503, "5", "no-store")
    assert headers["X-Request-ID"]
    assert time.monotonic() - began > 0.5


@pytest.mark.parametrize(
    ("crowd", "pause", "hold"),
    [
        (1500, 0.002, 120.0),
        # More slowly than one in each look.
        (400, 0.05, 120.0),
        # Most are still in line when their time is over.
        (600, 0.01, 2.0),
    ],
    ids=["large", "slow", "late"],
)
def test_a_crowd_that_was_held_is_let_go_no_faster_than_it_is_taken(
    world: World, replica: Start, change: Callable[..., Stack], crowd: int, pause: float, hold: float
) -> None:
    slow = replica("slow", ONE_BY_ONE.format(pause=pause))
    world.configure(stack=change(world.stack, hold_seconds=hold))
    world.start()

    async def ask() -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.decode().partition("\r\n")[0].removeprefix("HTTP/1.0 ")

    async def all_answers() -> Counter[str]:
        asking = [asyncio.create_task(ask()) for _ in range(crowd)]
        await asyncio.sleep(1)
        await asyncio.to_thread(world.add, slow)
        return Counter(await asyncio.gather(*asking))

    assert asyncio.run(all_answers()) == {"200 OK": crowd}


# Reload and hand-over


def test_reload_under_load_loses_nothing(
    world: World, replicas: Replicas, change: Callable[..., Stack]
) -> None:
    world.configure(*replicas.values())
    world.start()

    with world.load() as loads:
        for hold in (1.0, 2.0, 3.0):
            world.stack = change(world.stack, hold_seconds=hold)
            world.configure(*replicas.values())
            world.proxy.reload(world.stack, 1)
            observed = world.observe()
            assert observed.instances[0].structure == observed.expected == observed.written
            assert not list(world.stack.site.directory.rglob("*.state"))
            time.sleep(0.2)
    assert [load.lost for load in loads] == [[], [], [], []]


def test_a_pool_gets_another_name_by_reload(
    world: World, replicas: Replicas, change: Callable[..., Stack]
) -> None:
    one = replicas["one"]
    world.configure(one)
    world.start()

    world.stack = change(world.stack, pool="site")
    world.configure(one)
    (instance,) = world.observe().instances
    assert instance.answering
    assert instance.structure != world.observe().expected
    world.drain(one)
    with world.load() as loads:
        world.proxy.reload(world.stack, 1)
        # Nothing is known of a pool that is new: on a busy machine its first check may come too late.
        world.until(lambda: world.up() == {"one"})
    assert [load.lost for load in loads] == [[], [], [], []]


def test_a_reload_that_fails_leaves_the_old_worker_serving(world: World, replicas: Replicas) -> None:
    world.configure(replicas["one"])
    world.start()
    config = world.stack.site.config / "haproxy.cfg"
    config.write_text(config.read_text() + "    nonsense\n")

    before = world.worker()
    with pytest.raises(ProxyError, match="did not accept its new configuration"):
        world.proxy.reload(world.stack, 1)
    assert before is not None
    assert (after := world.worker()) is not None
    assert after.pid == before.pid
    assert world.get()[0] == 200


def test_a_client_that_kept_its_connection_is_served_by_the_new_worker(
    world: World, replicas: Replicas
) -> None:
    one, two, _ = replicas.values()
    world.configure(one)
    world.start()
    with closing(http.client.HTTPConnection("127.0.0.1", world.port, timeout=10)) as kept:
        kept.request("GET", "/")
        kept.getresponse().read()
        world.configure(two)
        world.proxy.reload(world.stack, 1)

        assert world.workers()[1].servers == ()
        kept.request("GET", "/")
        answer = kept.getresponse()
        seen = {name.lower(): value for name, value in json.loads(answer.read())["headers"].items()}
    assert (answer.status, answer.headers["X-Replica"], answer.headers["Connection"]) == (200, "two", "close")
    # The new worker sees the client, not the old worker.
    assert seen["x-forwarded-for"] != "127.0.0.1"
    assert seen["x-request-id"] == answer.headers["X-Request-ID"]
    world.until(lambda: len(world.workers()) == 1)


def test_a_request_that_is_held_survives_a_reload(
    world: World, replicas: Replicas, change: Callable[..., Stack]
) -> None:
    world.stack = change(world.stack, hold_seconds=25.0)
    world.configure()
    world.start()
    with ThreadPoolExecutor(1) as client:
        held = client.submit(world.get)
        time.sleep(0.3)
        world.proxy.reload(world.stack, 1)
        world.add(replicas["one"])

        assert held.result()[0] == 200


def obeyed(change: Callable[[], None]) -> bool:
    """False from a HAProxy that ended just when it was asked; the next pass would ask again."""
    try:
        change()
    except ProxyError:
        return False
    return True


def test_the_next_haproxy_takes_over_without_a_lost_request(world: World, replicas: Replicas) -> None:
    one, two, _ = replicas.values()
    world.configure(one)
    world.start(1)

    with world.load() as loads:
        world.start(2, handover=1)
        world.add(two)
        assert set(world.servers(1)) == set(world.servers(2)) == {"one", "two"}
        stream = Stream(world.port, 1.0)
        world.signal(1, "USR1")
        world.until(lambda: world.worker(1) is None)
        # A HAProxy that leaves takes no changes and stands in nobody's way.
        world.until(lambda: obeyed(lambda: world.drain(one)))
        world.until(
            lambda: all(
                s.sessions == 0
                for w in world.workers(1) + world.workers(2)
                for s in w.servers
                if s.name == "one"
            )
        )
        world.until(lambda: obeyed(lambda: world.delete(one)))
        time.sleep(0.2)
    assert [load.lost for load in loads] == [[], [], [], []]
    assert stream.whole
    assert set(world.servers(2)) == {"two"}


def test_a_haproxy_without_a_next_one_answers_by_itself(world: World, replicas: Replicas) -> None:
    """The next request on a connection that was kept, as the service or its proxy is removed."""
    world.configure(replicas["one"])
    world.start()
    with closing(http.client.HTTPConnection("127.0.0.1", world.port, timeout=10)) as kept:
        kept.request("POST", "/echo", b"x")
        assert kept.getresponse().read() == b"x"
        world.signal(1, "USR1")
        world.until(lambda: world.worker(1) is None)
        kept.request("POST", "/echo", b"x")
        answer = kept.getresponse()
        assert (answer.status, answer.read(), answer.headers["Connection"]) == (200, b"x", "close")


def test_many_threads_may_use_it(world: World, replicas: Replicas) -> None:
    world.configure(replicas["one"])
    world.start()

    with ThreadPoolExecutor(8) as pool:
        views = list(pool.map(lambda _: frozenset(world.servers()), range(40)))
    assert set(views) == {frozenset({"one"})}


def test_a_stopped_service_is_answered_at_once_and_started_by_a_reload(
    world: World, replicas: dict[str, Replica], change: Callable[..., Stack]
) -> None:
    runs = world.stack
    world.stack = change(runs, is_stopped=True)
    world.configure()
    world.start()
    began = time.monotonic()
    status, headers, _ = world.get()
    assert (status, headers["Cache-Control"]) == (503, "no-store")
    assert time.monotonic() - began < runs.proxy.hold_seconds
    world.stack = runs
    world.configure()
    world.proxy.reload(runs, 1)
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(world.get) for _ in range(5)]
        world.add(replicas["one"])
        assert [each.result()[0] for each in waiting] == [200] * 5
