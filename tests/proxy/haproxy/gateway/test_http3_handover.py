"""HTTP/3 while HAProxy is reloaded and replaced: a worker that leaves keeps the connections that it has. While two have the
same UDP socket, a few new ones fail; that is why docs/gateway.md promises less of HTTP/3.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest

from reconciler.api.vaultgateway import GatewayTimeouts
from reconciler.proxy.haproxy.gateway.render import structure
from reconciler.proxy.haproxy.runtime import Runtime
from tests.proxy.conftest import Replica, docker, until
from tests.proxy.haproxy.gateway.conftest import HTTPS, POOLS, GatewayWorld
from tests.proxy.haproxy.gateway.http3 import SPEAKING, Curl, curl_container

pytestmark = [pytest.mark.docker, pytest.mark.turns]

ROUTE = {"hostnames": ["a.test"]}
GRACE = 1.0
"""Seconds after which a request that curl began has certainly reached HAProxy, or an old one has closed its port."""


@dataclass(frozen=True)
class Answer:
    """Of a request: monotonic times, and the version and the status or why there is none."""

    began: float
    ended: float
    said: str


@dataclass
class Requests:
    """One request after the other, each on a connection of its own, by HTTP/3 if that comes about."""

    curl: Curl
    path: str
    answers: list[Answer] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Requests:
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.answers) > 2)
        return self

    def _ask(self) -> None:
        while not self.ended.is_set():
            began = time.monotonic()
            done = self.curl(f"https://a.test:{HTTPS}{self.path}", "--http3")
            said = (done.stdout.rpartition("\n")[2] + done.stderr).strip()
            self.answers.append(Answer(began, time.monotonic(), said))

    def __exit__(self, *_: object) -> None:
        enough = len(self.answers) + 6
        until(lambda: len(self.answers) > enough)
        self.ended.set()
        for thread in self._threads:
            thread.join(60)


def test_reload_and_hand_over(world: GatewayWorld, replicas: dict[str, Replica]) -> None:
    world.spec = SPEAKING
    world.write(SPEAKING)
    world.start()
    world.serve(ROUTE, replicas=[replicas["one"], replicas["two"]])
    changes, leaving = [], []
    with (
        curl_container() as client,
        Requests(Curl(client, world), "/") as quick,
        Requests(Curl(client, world), "/slow?ms=4000") as slow,
    ):
        for slot in (2, 3):
            changed = {"timeouts": GatewayTimeouts(client=60.0 + slot)}
            world.spec = world.spec.model_copy(update=changed)
            world.write(world.spec)
            began = time.monotonic()
            Runtime(world.master(slot - 1), "h001").reload(structure(world.spec, POOLS))
            world.start(slot, slot - 1)
            docker("kill", "--signal=USR1", world.containers[slot - 1])
            leaving.append(time.monotonic())
            changes.append((began - GRACE, leaving[-1] + GRACE))
            # The next one only when some requests have met nothing of this one.
            count = len(quick.answers)
            until(lambda: len(quick.answers) > count + 8)  # noqa: B023
        assert Curl(client, world).only().endswith("\n3 200")
    answers = quick.answers + slow.answers
    lost = [each for each in answers if each.said not in ("3 200", "2 200")]
    apart = [each for each in lost if not any(begin < each.began < end for begin, end in changes)]
    assert apart == []
    assert len(lost) * 10 <= len(answers), lost
    kept = [
        each
        for each in slow.answers
        if each.said == "3 200"
        and any(each.began + GRACE < moment < each.ended - GRACE for moment in leaving)
    ]
    assert kept, (leaving, slow.answers)
