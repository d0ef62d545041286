"""`vaultctl run --agents` and `vaultctl agent run` as processes, a real HAProxy beside the agent, and clients."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.cli.agent_serving import AgentDirectory
from reconciler.core.desired.stack import Site
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.proxy import HAProxy
from reconciler.proxy.remote.nodes import Nodes
from reconciler.wiring.agents import AgentLines
from tests.e2e.stage import free_port
from tests.e2e.waiting import PATIENCE, until
from tests.proxy.conftest import HAPROXY_USER, Replica, World, gateway, make_stack, replica, replicas, world

__all__ = ["gateway", "replica", "replicas", "world"]

pytestmark = [pytest.mark.docker, pytest.mark.promise]

NODE = "node-2"


@dataclass
class Node:
    """The state directories of a controller and of an agent, and how both are run."""

    state: Path
    home: Path
    port: int

    def vaultctl(self, state: Path, *words: str) -> list[str]:
        return [sys.executable, "-m", "reconciler.cli", *words, "--state-dir", str(state)]

    @contextmanager
    def running(self, state: Path, says: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A process until the block ends, once its log has said something."""
        log = state.with_suffix(".log")
        with log.open("ab") as file:
            began = log.stat().st_size
            process = subprocess.Popen(self.vaultctl(state, *words), stdout=file, stderr=file)
        try:

            def said() -> re.Match[str] | None:
                assert process.poll() is None, log.read_text()
                return re.search(says, log.read_bytes()[began:].decode())

            until(f"it says {says}", said)
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)

    @contextmanager
    def agent(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """The agent, which listens when the block begins."""
        listen = f"127.0.0.1:{self.port}"
        with self.running(
            self.home, f"agent of node {NODE} on", "agent", "run", "--listen", listen, *words
        ) as made:
            yield made


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "state", tmp_path / "node", free_port())


@dataclass
class Loop:
    """What the loop has of a service whose HAProxy is on the node: everything but a pass."""

    lines: AgentLines
    world: World
    proxy: HAProxy

    def until_up(self, *names: str) -> None:
        until(f"{names} are up", lambda: self.world.up() == set(names))


@contextmanager
def loop_of(node: Node, there: World) -> Iterator[Loop]:
    """The HAProxies of `there` on the node, reached through its agent."""
    lines = AgentLines(node.state, lambda: datetime.now(UTC))
    nodes = Nodes(lambda site, slot: lines.line(NODE))
    here = Site(node.state / "services" / "t", HAPROXY_USER, HAPROXY_USER)
    copy = Site(AgentDirectory(node.home).path / "services" / "t", HAPROXY_USER, HAPROXY_USER)
    there.proxy = HAProxy(lambda *_: None, time.monotonic, at=nodes.reach)
    there.stack = replace(make_stack(here.directory), site=here)
    try:
        there.configure()
        nodes.put(here, lines.line(NODE), time.monotonic() + 20)
        # Its containers are of the node.
        there.stack = replace(there.stack, site=copy)
        local = there.proxy
        there.proxy = HAProxy(lambda *_: None, time.monotonic)
        there.start()
        there.stack, there.proxy = replace(there.stack, site=here), local
        yield Loop(lines, there, there.proxy)
    finally:
        lines.close()


def test_an_agent_is_enrolled_killed_started_again_and_no_request_is_lost(
    node: Node, world: World, replicas: dict[str, Replica]
) -> None:
    enrolment = free_port()
    words = ("run", "--listen", "none", "--agents", f"127.0.0.1:{enrolment}")
    with node.running(node.state, "enrolment of agents on", *words):
        token = node.home.with_suffix(".token")
        created = node.vaultctl(node.state, "agent", "token", NODE, "--address", f"127.0.0.1:{node.port}")
        token.write_bytes(subprocess.run(created, check=True, capture_output=True, timeout=PATIENCE).stdout)
        first = ("--controller", f"127.0.0.1:{enrolment}", "--token-file", str(token))
        with node.agent(*first) as agent, loop_of(node, world) as loop, world.load() as loads:
            one, two, three = (replicas[name] for name in ("one", "two", "three"))
            # The clients wait in the queue of the empty pool.
            for each in (one, two):
                world.configure(one, two)
                world.add(each)
            loop.until_up("one", "two")

            agent.send_signal(signal.SIGKILL)
            agent.wait(PATIENCE)
            (seen,) = world.observe().instances
            assert not seen.answering
            with pytest.raises(ProxyError, match="cannot be asked: Connection refused"):
                world.drain(one)
            # Written here, for when it is back.
            world.configure(two, three)
            served = len(loads[0].replicas)
            until("it serves without its agent", lambda: len(loads[0].replicas) > served + 50)

            with node.agent():
                world.add(three)
                loop.until_up("one", "two", "three")
                world.drain(one)
                world.until_free(one)
                world.delete(one)
                assert set(world.servers()) == {"two", "three"}
                copy = AgentDirectory(node.home).path / "services" / "t" / "haproxy" / "haproxy.cfg"
                assert "server three" in copy.read_text()
                world.proxy.reload(world.stack, 1)
                until("one worker is left", lambda: len(world.workers()) == 1)
                assert loop.lines.look() == {NODE: ""}
                listed = node.vaultctl(node.state, "agent", "list")
                said = subprocess.run(listed, check=True, capture_output=True, timeout=PATIENCE, text=True)
                assert re.search(rf"{NODE} +127.0.0.1:{node.port} +Answers", said.stdout)
    assert [each.lost for each in loads] == [[]] * len(loads)
    assert sum(len(each.replicas) for each in loads) > 200
    assert "vaultagent_" not in "".join(path.read_text() for path in (node.state.parent).glob("*.log"))
    keys = [each for each in node.home.rglob("*.pem") if "identity" in each.parts]
    assert [each.stat().st_mode & 0o777 for each in keys] == [0o600]
