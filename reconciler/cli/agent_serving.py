"""The two ends of agents: what `vaultctl agent run` serves on a node, and what `vaultctl run --agents` does for them."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.engines.tunnel import Tunnel, open_unix, take_tls
from reconciler.proxy.remote.ears import SiteEvents
from reconciler.proxy.remote.serving import AgentService
from reconciler.store.agents import split_address
from reconciler.web.agent.app import admits, agent_app, agent_tls, tunnel_tls
from reconciler.web.agent.enrolment import enrol, enrolment_app, enrolment_tls
from reconciler.web.agent.identity import AgentIdentity
from reconciler.web.agent.terms import TERM_FILE, Terms
from reconciler.web.server import Server, bind, parse_listen
from reconciler.wiring import utc_now

if TYPE_CHECKING:
    from reconciler.wiring.agents import AgentLines

__all__ = ["AgentDirectory", "enrolling", "leading_to", "serving_agent"]

DIRECTORY: Final = "agent"
_IDENTITY: Final = "identity"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgentDirectory:
    """The files of an agent, below its state directory."""

    state_dir: Path

    @property
    def path(self) -> Path:
        """The directory of sites: `gateways/<name>` and `services/<name>`, each with `haproxy` and `run`."""
        return self.state_dir / DIRECTORY

    @property
    def identity(self) -> AgentIdentity:
        """Its certificate and key."""
        return AgentIdentity(self.path / _IDENTITY, utc_now)

    def enrol(self, controller: str, token: str) -> None:
        """Get a first certificate, at "ADDRESS:PORT" of the controller. Raises VaultError."""
        node = enrol(self.identity, *split_address(controller), token)
        # Of another controller, perhaps, whose lease counts from one.
        (self.path / _IDENTITY / TERM_FILE).unlink(missing_ok=True)
        self._used.write_text(_digest(token), encoding="ascii")
        _log.info("enrolled as the agent of node %s", node)

    def has_used(self, token: str) -> bool:
        """Whether this token has enrolled it; another one is to do so again."""
        try:
            return self._used.read_text(encoding="ascii") == _digest(token)
        except OSError:
            return False

    @property
    def terms(self) -> Terms:
        """Which controllers it obeys; one for all that it serves. Raises PermanentError."""
        return Terms(self.path / _IDENTITY / TERM_FILE)

    @property
    def _used(self) -> Path:
        return self.path / _IDENTITY / "token.sha256"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@contextmanager
def leading_to(engine: Path, directory: AgentDirectory, listen: str, terms: Terms) -> Iterator[None]:
    """Lead the controller, and no other client, from `listen` ("ADDRESS:PORT") to the socket of an engine. Raises
    VaultError.
    """
    host, port = parse_listen(listen)
    take = take_tls(bind(host, port), tunnel_tls(directory.identity))
    with Tunnel(take, open_unix(engine), admits(utc_now, terms)) as tunnel:
        terms.risen.append(tunnel.end_older)
        _log.info("leads the controller from %s to %s", listen, engine)
        yield


@contextmanager
def serving_agent(directory: AgentDirectory, listen: str, terms: Terms) -> Iterator[str]:
    """Serve the sites of a directory on `listen` ("ADDRESS:PORT") and yield the URL. Raises VaultError."""
    identity, (host, port) = directory.identity, parse_listen(listen)
    node = identity.node
    events = SiteEvents()
    events.start()
    service = AgentService(directory.path, identity, events)
    with Server(agent_app(service, utc_now, terms), host, port, agent_tls(identity)) as server:
        _log.info(
            "agent of node %s on %s; its certificate ends on %s",
            node,
            server.url,
            identity.ends.isoformat(" ", "minutes"),
        )
        yield server.url


@contextmanager
def enrolling(lines: AgentLines, listen: str) -> Iterator[str]:
    """Enrol agents on `listen` ("ADDRESS:PORT"), and look at all agents until the block ends; yields the URL.

    Raises VaultError.
    """
    lines.prepare()
    stop = threading.Event()
    host, port = parse_listen(listen)
    app = enrolment_app(lines.directory, lines.agents, utc_now)
    with Server(app, host, port, enrolment_tls(lines.directory)) as server:
        lines.keep(stop)
        try:
            yield server.url
        finally:
            stop.set()
            lines.close()
