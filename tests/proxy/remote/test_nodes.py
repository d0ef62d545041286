"""HAProxies on another node, where that matters: the copy of the files, an agent that is away, events."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import TemporaryError
from reconciler.core.assess.observation import Container, Health, State
from reconciler.core.desired.stack import Role, Site, Stack
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.config import EVENTS_SOCKET
from reconciler.proxy.haproxy.files import prepare
from reconciler.proxy.haproxy.proxy import HAProxy
from reconciler.proxy.haproxy.reaching import reach
from reconciler.proxy.remote.calls import NextEvents
from reconciler.proxy.remote.line import OtherFilesError
from reconciler.proxy.remote.nodes import Nodes, key_of
from reconciler.proxy.remote.values import SiteKey
from tests.proxy.conftest import make_stack
from tests.proxy.remote.agents import Agent, agent_in, now

SECONDS = 20.0


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with agent_in(tmp_path / "agent") as made:
        yield made


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    made = make_stack(tmp_path)
    return replace(made, site=Site(tmp_path / "services" / "t", made.site.uid, made.site.gid))


def container(slot: int) -> Container:
    return Container(
        f"c{slot}", f"c{slot}", "haproxy", Role.PROXY, "r", State.RUNNING, Health.NONE, now(), slot=slot
    )


def test_a_call_brings_the_files_along(agent: Agent, stack: Stack) -> None:
    line = agent.line()
    nodes = Nodes(lambda site, slot: line)
    proxy = HAProxy(lambda *_: None, time.monotonic, at=nodes.reach)
    proxy.configure(stack, [("one", "172.18.0.2:8000")])
    copy = agent.service.site_of(key_of(stack.site))
    assert not copy.config.exists()
    proxy.drain_servers(stack, [1], ["one"])
    assert nodes.files.of(copy) == nodes.files.of(stack.site)

    # Manual changes on the node do not last, whatever they are.
    (copy.config / "haproxy.cfg").write_text("edited")
    (copy.config / "more.cfg").write_text("added")
    (copy.config / "hold.lua").unlink()
    proxy.observe(stack, [container(1)])
    assert nodes.files.of(copy) == nodes.files.of(stack.site)


def test_files_that_are_equal_are_not_sent(agent: Agent, stack: Stack) -> None:
    line = agent.line()
    nodes = Nodes(lambda site, slot: line)
    proxy = HAProxy(lambda *_: None, time.monotonic, at=nodes.reach)
    proxy.configure(stack, [])
    proxy.observe(stack, [container(1)])
    copy = agent.service.site_of(key_of(stack.site))
    before = {each: each.stat().st_ino for each in copy.config.rglob("*")}
    proxy.observe(stack, [container(1)])
    proxy.configure(stack, [("one", "172.18.0.2:8000")])
    proxy.observe(stack, [container(1)])
    changed = {each.name for each in copy.config.rglob("*") if before.get(each) != each.stat().st_ino}
    assert changed == {"haproxy.cfg"}


def test_an_agent_that_is_away_is_a_haproxy_that_does_not_answer(agent: Agent, stack: Stack) -> None:
    clock = [0.0]
    line = agent.line()
    proxy = HAProxy(lambda *_: None, lambda: clock[0], at=Nodes(lambda site, slot: line).reach)
    proxy.configure(stack, [])
    agent.server.stop()
    (seen,) = proxy.observe(stack, [container(1)]).instances
    # It may be serving, so it is not replaced.
    assert (seen.answering, seen.silent, seen.serves, seen.workers) == (False, 0.0, True, ())
    clock[0] = 7.0
    (seen,) = proxy.observe(stack, [container(1)]).instances
    assert seen.silent == 7.0
    # And no change skips it.
    with pytest.raises(ProxyError, match="node node-2: the agent at") as caught:
        proxy.drain_servers(stack, [1], ["one"])
    assert not isinstance(caught.value, ProxyAwayError)
    # What is written is written: the agent gets it when it is back.
    proxy.configure(stack, [("one", "172.18.0.2:8000")])
    assert agent.answered[-1] is False


def test_a_haproxy_that_is_not_running_has_no_traffic(agent: Agent, stack: Stack) -> None:
    line = agent.line()
    proxy = HAProxy(lambda *_: None, time.monotonic, at=Nodes(lambda site, slot: line).reach)
    proxy.configure(stack, [])
    proxy.drain_servers(stack, [1], ["one"])
    (seen,) = proxy.observe(stack, [container(1)]).instances
    assert (seen.answering, seen.serves) == (False, False)


def test_a_slot_of_this_machine_needs_no_agent(stack: Stack) -> None:
    asked: list[int] = []

    def here(site: Site, slot: int, seconds: float) -> object:
        asked.append(slot)
        return reach(site, slot, seconds)

    proxy = HAProxy(lambda *_: None, time.monotonic, at=Nodes(lambda site, slot: None, here).reach)  # type: ignore[arg-type]
    proxy.configure(stack, [])
    proxy.drain_servers(stack, [3], ["one"])
    assert asked == [3]


@contextmanager
def directory(path: Path) -> Iterator[int]:
    place = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield place
    finally:
        os.close(place)


def test_what_a_haproxy_says_of_its_servers_is_told_at_once(agent: Agent, stack: Stack) -> None:
    line, key = agent.line(), key_of(stack.site)
    copy = agent.service.site_of(key)
    prepare(copy)
    agent.service.events.listen(key, copy)
    told: list[tuple[SiteKey, str]] = []

    def wait() -> None:
        told.extend(line.ask(NextEvents(seconds=20), time.monotonic() + SECONDS + 5))

    waiting = threading.Thread(target=wait)
    waiting.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as haproxy, directory(copy.config) as place:
        # The path itself may be longer than an address of a socket can be.
        haproxy.sendto(b"Server web/one is DOWN" + b"x" * 9000, f"/proc/self/fd/{place}/{EVENTS_SOCKET}")
    waiting.join(SECONDS)
    ((site, text),) = told
    assert (site, text[:22], len(text)) == (key, "Server web/one is DOWN", 512)
    assert line.ask(NextEvents(seconds=0), time.monotonic() + SECONDS) == ()


def test_each_slot_has_its_own_node(agent: Agent, stack: Stack, tmp_path: Path) -> None:
    with agent_in(tmp_path / "second") as second:
        lines = {1: agent.line(), 2: second.line()}
        nodes = Nodes(lambda site, slot: lines.get(slot))
        proxy = HAProxy(lambda *_: None, time.monotonic, at=nodes.reach)
        proxy.configure(stack, [("one", "172.18.0.2:8000")])
        proxy.drain_servers(stack, [1, 2, 3], ["one"])
        for each in (agent, second):
            assert nodes.files.of(each.service.site_of(key_of(stack.site))) == nodes.files.of(stack.site)
        # One that is away keeps the others from nothing.
        second.server.stop()
        lines[2].wire.close()
        proxy.configure(stack, [])
        seen = {each.container: each for each in proxy.observe(stack, [container(1), container(2)]).instances}
        assert (seen["c1"].serves, seen["c2"].serves) == (False, True)
        copy = agent.service.site_of(key_of(stack.site))
        assert nodes.files.of(copy) == nodes.files.of(stack.site)


class Late:
    """An agent that notes until when each call is to be done, by the type of the call."""

    node = "n1"

    def __init__(self) -> None:
        self.until: dict[str, float] = {}

    def ask(
        self, call: Any, until: float, site: SiteKey | None = None, slot: int = 0, files: str = ""
    ) -> Any:
        self.until[type(call).__name__] = until
        if type(call).__name__ == "DrainServers" and len(self.until) == 1:
            raise OtherFilesError("other files")
        return {} if type(call).__name__ == "ListFiles" else ()


def test_a_change_ends_with_the_lease_and_a_look_does_not(stack: Stack) -> None:
    agent = Late()
    nodes = Nodes(lambda site, slot: agent, left=lambda: 5.0)
    HAProxy(lambda *_: None, time.monotonic, at=nodes.reach).configure(stack, [])
    pool = nodes.reach(stack.site, 1, SECONDS).pool("web")
    pool.drain_servers(["one"])
    now = time.monotonic()
    assert agent.until["DrainServers"] <= now + 5
    assert agent.until["PutFiles"] <= now + 5
    pool.processes()
    assert agent.until["Processes"] > now + 5


def test_without_a_lease_an_agent_is_asked_for_no_change(stack: Stack) -> None:
    def left() -> float:
        raise TemporaryError("the controller on n2 holds the lease of the Swarm")

    agent = Late()
    nodes = Nodes(lambda site, slot: agent, left=left)
    HAProxy(lambda *_: None, time.monotonic, at=nodes.reach).configure(stack, [])
    pool = nodes.reach(stack.site, 1, SECONDS).pool("web")
    pool.processes()
    with pytest.raises(ProxyError, match="n2 holds the lease"):
        pool.drain_servers(["one"])
    with pytest.raises(ProxyError, match="n2 holds the lease"):
        nodes.put(stack.site, agent, time.monotonic() + SECONDS)
    assert agent.until.keys() == {"Processes", "ListFiles"}
