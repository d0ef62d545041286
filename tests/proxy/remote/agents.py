"""An agent of this process on 127.0.0.1, with certificates of an authority of its own, and the loop's line to it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from reconciler.certificates.agents import (
    AUTHORITY,
    CONTROLLER_CERTIFICATE,
    CONTROLLER_KEY,
    agent_name,
    keep_controller,
    sign_agent,
)
from reconciler.proxy.haproxy.reaching import Reach, reach
from reconciler.proxy.remote.ears import SiteEvents
from reconciler.proxy.remote.line import Line
from reconciler.proxy.remote.serving import AgentService
from reconciler.proxy.remote.wire import Peer, Wire
from reconciler.web.agent.app import agent_app, agent_tls
from reconciler.web.agent.identity import AgentIdentity
from reconciler.web.agent.terms import TERM_FILE, Terms
from reconciler.web.server import Server

NODE = "node-2"


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Agent:
    """An agent that serves, and the directory of its controller's certificates."""

    directory: Path
    authority: Path
    identity: AgentIdentity
    service: AgentService
    server: Server
    answered: list[bool] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def context(self) -> ssl.SSLContext:
        """What the controller connects with."""
        return context_of(self.authority)

    def peer(self, port: int = 0, accepts: Callable[[bytes], bool] = lambda _: True, **other: object) -> Peer:
        """The agent as the loop knows it."""
        known: dict[str, object] = {"node": NODE, "name": agent_name(NODE), "context": self.context, **other}
        return Peer(host="127.0.0.1", port=port or self.server.port, accepts=accepts, **known)  # type: ignore[arg-type]

    def line(self, **other: object) -> Line:
        """A line to it that has no connection yet; closed with the agent."""
        wire = Wire(self.peer(**other), lambda node, answered: self.answered.append(answered))  # type: ignore[arg-type]
        self.lines.append(Line(wire))
        return self.lines[-1]


def context_of(authority: Path, pair: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """A client of this authority, with the controller's certificate or another one."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(authority / AUTHORITY)
    made.load_cert_chain(*(pair or (authority / CONTROLLER_CERTIFICATE, authority / CONTROLLER_KEY)))
    return made


@contextmanager
def agent_in(
    directory: Path, clock: Callable[[], datetime] = now, at: Reach = reach, node: str = NODE
) -> Iterator[Agent]:
    """An agent whose sites are below `directory`; `clock` is its wall's."""
    authority = directory.with_name(f"{directory.name}-authority")
    keep_controller(authority, now())
    identity = AgentIdentity(directory / "identity", clock)
    request = identity.request().encode()
    certificate = sign_agent(authority, node, request, now()).decode()
    identity.enrol(certificate, (authority / AUTHORITY).read_text())
    events = SiteEvents()
    events.start()
    service = AgentService(directory, identity, events, at)
    with Server(
        agent_app(service, clock, Terms(identity.directory / TERM_FILE)), "127.0.0.1", 0, agent_tls(identity)
    ) as server:
        made = Agent(directory, authority, identity, service, server)
        try:
            yield made
        finally:
            for line in made.lines:
                line.wire.close()
