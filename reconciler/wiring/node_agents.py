"""What a controller of a Swarm does with the agents of nodes: enrols them, and reaches HAProxies and engines by them."""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from reconciler.api.errors import TemporaryError, VaultError
from reconciler.core.desired.stack import Site
from reconciler.core.names import AGENT_PORT, ENGINE_PORT
from reconciler.engines.tunnel import Tunnel, TunnelRefusedError, open_tls, take_unix
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.haproxy.gateway.directory import read_places
from reconciler.proxy.haproxy.reaching import OneHAProxy
from reconciler.proxy.remote.nodes import Asked, Nodes, NoLine
from reconciler.wiring import utc_now
from reconciler.wiring.agents import AgentLines

__all__ = ["NodeAgents"]

PING_SECONDS: Final = 3.0
PUT_SECONDS: Final = 15.0
TOKEN_MARGIN: Final = timedelta(minutes=30)
"""A token that is not used by then has not reached its node in time, and is replaced."""


class NodeAgents:
    """Implements engines.swarm.fronts.Agents. Any thread may use it. `left` says for how many seconds a change may last
    that begins now, and raises VaultError if there may be none; `is_over` whether none that was begun may be under way any
    more.
    """

    def __init__(self, lines: AgentLines, left: Callable[[], float], is_over: Callable[[], bool]) -> None:
        self._lines, self._is_over = lines, is_over
        self._nodes = Nodes(self._line, left=left)
        self._tunnels: dict[str, tuple[Tunnel, str]] = {}
        self._problems: dict[str, str] = {}
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def reach(self, site: Site, slot: int, seconds: float) -> OneHAProxy:
        """A Reach for HAProxies of this machine and of nodes."""
        return self._nodes.reach(site, slot, seconds)

    def _line(self, site: Site, slot: int) -> Asked | None:
        try:
            node = read_places(site).get(slot)
        except OSError as error:
            return NoLine("", ProxyError(f"cannot read which node has slot {slot}: {error}"))
        if node is None:
            return None
        if self._lines.was_silent(node):
            return NoLine(node, ProxyError(f"node {node}: its agent did not answer a moment ago"))
        try:
            return self._lines.line(node)
        except ProxyError as error:
            return NoLine(node, error)

    def needs_token(self, node: str, address: str) -> bool:
        """See Agents.needs_token."""
        agent = self._lines.agents.get(node)
        if agent is None or agent.address != _located(address):
            return True
        now = utc_now()
        if agent.ends is not None and agent.ends > now:
            return False
        return agent.token_ends is None or datetime.fromisoformat(agent.token_ends) < now + TOKEN_MARGIN

    def is_enrolled(self, node: str) -> bool:
        """See Agents.is_enrolled."""
        agent = self._lines.agents.get(node)
        return agent is not None and agent.ends is not None

    def invite(self, node: str, address: str) -> str:
        """See Agents.invite."""
        return self._lines.agents.invite(node, _located(address), self._lines.pin())

    def problem(self, node: str) -> str:
        """See Agents.problem; one that has just been silent is not asked again by each pass."""
        if (known := self._problems.get(node)) and self._lines.was_silent(node):
            return known
        try:
            self._lines.line(node).ping(time.monotonic() + PING_SECONDS)
        except VaultError as error:
            self._problems[node] = error.message.removeprefix(f"node {node}: ")
            return self._problems[node]
        self._problems.pop(node, None)
        return ""

    def engine(self, node: str) -> str:
        """See Agents.engine."""
        with self._lock:
            if node not in self._tunnels:
                self._tunnels[node] = self._tunnel(node)
            return self._tunnels[node][1]

    def _tunnel(self, node: str) -> tuple[Tunnel, str]:
        def where() -> tuple[str, int, str, ssl.SSLContext]:
            try:
                peer = self._lines.line(node).wire.peer
                return peer.host, ENGINE_PORT, peer.name, peer.context()
            except VaultError as error:
                raise TunnelRefusedError(str(error)) from error

        def accepts(shown: bytes) -> bool:
            return self._lines.line(node).wire.peer.accepts(shown)

        try:
            if self._directory is None:
                # A process that can connect has the rights of root on the nodes: the directory is this user's only.
                self._directory = tempfile.TemporaryDirectory(prefix="vault-", ignore_cleanup_errors=True)
            path = Path(self._directory.name, f"{len(self._tunnels)}.sock")
            tunnel = Tunnel(take_unix(path), open_tls(where, accepts), is_over=self._is_over)
            tunnel.start()
        except OSError as error:
            raise TemporaryError(f"cannot make a socket for the engine of node {node}: {error}") from error
        return tunnel, f"unix://{path}"

    def give_files(self, node: str, site: Site) -> None:
        """See Agents.give_files."""
        try:
            self._nodes.put(site, self._lines.line(node), time.monotonic() + PUT_SECONDS)
        except OSError as error:
            raise ProxyError(f"cannot read the files of a gateway: {error}") from error

    def close(self) -> None:
        """End all tunnels."""
        with self._lock:
            for tunnel, _ in self._tunnels.values():
                tunnel.close()
            self._tunnels.clear()
            if self._directory is not None:
                self._directory.cleanup()
                self._directory = None


def _located(address: str) -> str:
    return f"[{address}]:{AGENT_PORT}" if ":" in address else f"{address}:{AGENT_PORT}"
