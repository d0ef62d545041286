"""The agents of other nodes: lines to them, and certificates that are renewed before they end.

A line shows the certificate that the controller has at that moment, and accepts of its node only what was issued to that
last. Renewing cuts nothing: open connections stay open, and both certificates count until some time after the new one was
seen.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from metrics.agents import AgentSnapshot
from reconciler.api.errors import TemporaryError, VaultError
from reconciler.certificates import agents as peers
from reconciler.core.desired.stack import Site
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.remote.calls import InstallCertificate, RequestCertificate
from reconciler.proxy.remote.following import follow
from reconciler.proxy.remote.line import Line
from reconciler.proxy.remote.values import SiteKey
from reconciler.proxy.remote.wire import Peer, Wire
from reconciler.store.agents import Agent, Agents, Issued, split_address
from reconciler.store.files import locked
from reconciler.threads import side_by_side

__all__ = ["AgentLines", "AgentState"]

DIRECTORY: Final = "agents"
ASK_SECONDS: Final = 5.0
LOCK_SECONDS: Final = 5.0
ROUND_SECONDS: Final = 60.0
"""Between two looks at all agents: whether they answer, and what is to be renewed."""
SILENT_SECONDS: Final = 5.0
"""For how long an agent that has not answered is not asked again by passes; longer than one of their looks waits."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AgentState:
    """What is known of an agent: whether it answered when it was last asked (None: never asked), and why not; and when its
    certificate ends (None: not enrolled).
    """

    agent: Agent
    answers: bool | None
    problem: str
    ends: datetime | None


class AgentLines:
    """The lines to the agents of one state directory. Any thread may use them; `clock` is the wall's, and `told` hears of
    each exchange whether there was an answer. `term` is that of the lease in which this process acts, 0 where there is no
    lease, None while another process acts.
    """

    def __init__(
        self,
        state_dir: Path,
        clock: Callable[[], datetime],
        told: Callable[[str, bool], None] = lambda node, answered: None,
        term: Callable[[], int | None] = lambda: 0,
    ) -> None:
        self.directory = state_dir / DIRECTORY
        self.agents = Agents(state_dir, clock)
        self._clock = clock
        self._told = told
        self._term = term
        self._prepared: int | None = None
        self._lost: dict[str, float] = {}
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._lines: dict[str, Line] = {}
        self._problems: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        self._made: tuple[object, ssl.SSLContext] | None = None

    def prepare(self) -> None:
        """Make, or renew, what the controller shows. Raises TemporaryError."""
        term = self._term()
        try:
            # A command may do so beside the controller.
            with locked(self.directory.with_name(f".{DIRECTORY}.lock"), LOCK_SECONDS):
                is_new = peers.keep_controller(self.directory, self._clock(), term)
        except OSError as error:
            raise TemporaryError(f"cannot write the certificates of agents: {error}") from error
        self._prepared = term
        if is_new:
            self.close()

    def pin(self) -> str:
        """The SHA-256 of the authority's certificate, for tokens. Raises TemporaryError."""
        self.prepare()
        return peers.fingerprint((self.directory / peers.AUTHORITY).read_bytes())

    def line(self, node: str) -> Line:
        """The line to the agent of a node. Raises ProxyError if there is none, or if it is not enrolled."""
        self._show_term()
        agent = self.agents.get(node)
        known = agent.address if agent and agent.certificates else ""
        with self._lock:
            line = self._lines.get(node)
            if line is not None and line.wire.peer.address != known:
                self._lines.pop(node).wire.close()
            if known and (line is None or line.wire.peer.address != known):
                host, port = split_address(known)
                name, accepts = peers.agent_name(node), partial(self._accepts, node)
                self._lines[node] = Line(
                    Wire(Peer(node, host, port, name, self._context, accepts), self._heard)
                )
                # What its HAProxies say is heard from now on, and not from the next round.
                self._news.set()
            if known:
                return self._lines[node]
        state = "is not enrolled yet" if agent else "does not exist"
        raise ProxyError(f"node {node}: its agent {state}; see: vaultctl agent token {node}")

    def _heard(self, node: str, answered: bool) -> None:
        with self._lock:
            if answered:
                self._lost.pop(node, None)
            else:
                self._lost[node] = time.monotonic()
        self._told(node, answered)

    def was_silent(self, node: str) -> bool:
        """Whether it has not answered a moment ago: each further question of a pass would wait for as long. After that
        moment one pass finds out whether it answers again, and the others do not wait for it.
        """
        with self._lock:
            now, lost = time.monotonic(), self._lost.get(node)
            if lost is None:
                return False
            if now - lost < SILENT_SECONDS:
                return True
            self._lost[node] = now
        return False

    def close(self) -> None:
        """Close all connections that are idle."""
        for line in self._by_node().values():
            line.wire.close()
        self._news.set()

    def states(self) -> tuple[AgentState, ...]:
        """All agents by name, as they were when they were last asked."""
        return tuple(
            AgentState(
                each,
                not self._problems[each.node] if each.node in self._problems else None,
                self._problems.get(each.node, ""),
                each.ends,
            )
            for each in self.agents.list()
        )

    def snapshots(self) -> tuple[AgentSnapshot, ...]:
        """All agents for metrics, from memory and one small file."""
        return tuple(
            AgentSnapshot(node=each.agent.node, up=each.answers, not_after=each.ends)
            for each in self.states()
        )

    def look(self) -> Mapping[str, str]:
        """Ask each agent once, and renew what is in the second half of its life if this process acts. Returns what is wrong
        with each, "" if nothing is.
        """
        self.prepare()
        enrolled = [each for each in self.agents.list() if each.certificates]
        # Side by side: one that is away takes all of its time.
        problems = side_by_side(self._look_at, enrolled)
        found = dict(zip((each.node for each in enrolled), problems, strict=True))
        self._problems = found
        return found

    def keep(self, stop: threading.Event) -> None:
        """Look at all agents until `stop` is set, in a thread of its own, and hear in others what their HAProxies say."""
        threading.Thread(target=self._keep_looking, args=(stop,), name="agents", daemon=True).start()

    def _keep_looking(self, stop: threading.Event) -> None:
        followed: dict[str, tuple[Line, threading.Event]] = {}
        while not stop.is_set():
            try:
                self.look()
            except VaultError as error:
                _log.warning("agents: %s", error)
            except Exception:
                # Without this thread the certificates of all agents would end.
                _log.exception("a look at the agents failed")
            lines = {node: line for node, line in self._by_node().items() if node in self._problems}
            for node in [node for node, (line, _) in followed.items() if lines.get(node) is not line]:
                followed.pop(node)[1].set()
            for node in lines.keys() - followed.keys():
                followed[node] = lines[node], self._follow(lines[node])
            self._news.wait(ROUND_SECONDS)
            self._news.clear()
        for _, ended in followed.values():
            ended.set()

    def _follow(self, line: Line) -> threading.Event:
        ended = threading.Event()
        run = threading.Thread(
            target=follow, args=(line, self._config, ended), name=f"events-{line.node}", daemon=True
        )
        run.start()
        return ended

    def _config(self, key: SiteKey) -> Path:
        return Site(self.directory.parent / key.kind / key.name, -1, -1).config

    def _look_at(self, agent: Agent) -> str:
        before = self._problems.get(agent.node)
        try:
            self._renew(agent)
        except VaultError as error:
            if error.message != before:
                _log.warning("%s", error)
            return error.message
        if before:
            _log.info("node %s: its agent answers again", agent.node)
        return ""

    def _renew(self, agent: Agent) -> None:
        line, until = self.line(agent.node), time.monotonic() + ASK_SECONDS
        line.ping(until)
        if self._term() is None:
            # Two that renew would each accept another certificate.
            return
        if len(agent.certificates) > 1 and agent.certificates[-1].fingerprint == self._shown.get(agent.node):
            # Not as soon as it is shown: another thread may be meeting the former one at that moment.
            self.agents.settle(agent.node, agent.certificates[-1].fingerprint)
            return
        if agent.ends and self._clock() < agent.ends - peers.LIFE / 2:
            return
        request: str = line.ask(RequestCertificate(), until)
        certificate = peers.sign_agent(self.directory, agent.node, request.encode(), self._clock())
        # Accepted before it is shown: the answer to the next call may be lost.
        self.agents.renew(
            agent.node, Issued(peers.fingerprint(certificate), peers.ends(certificate).isoformat())
        )
        line.ask(InstallCertificate(certificate=certificate.decode()), until)
        line.wire.close()
        line.ping(until)
        _log.info("node %s: its agent has a new certificate", agent.node)

    def _by_node(self) -> dict[str, Line]:
        with self._lock:
            return dict(self._lines)

    def _context(self) -> ssl.SSLContext:
        """What the controller shows now; made again when that has changed."""
        self._show_term()
        pair = self.directory / peers.CONTROLLER_CERTIFICATE, self.directory / peers.CONTROLLER_KEY
        try:
            stamp = tuple((said.st_ino, said.st_mtime_ns) for said in (each.stat() for each in pair))
            if self._made is None or self._made[0] != stamp:
                made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                made.minimum_version = ssl.TLSVersion.TLSv1_3
                made.load_verify_locations(self.directory / peers.AUTHORITY)
                made.load_cert_chain(*pair)
                self._made = stamp, made
        except OSError as error:
            raise ProxyError(f"cannot read the controller's certificate for agents: {error}") from error
        return self._made[1]

    def _show_term(self) -> None:
        """Show the term in which this process acts from now on, and on no open connection another one."""
        if self._term() not in (None, self._prepared):
            try:
                self.prepare()
            except TemporaryError as error:
                raise ProxyError(error.message) from error

    def _accepts(self, node: str, shown: bytes) -> bool:
        agent, digest = self.agents.get(node), hashlib.sha256(shown).hexdigest()
        if agent is None or not agent.may_show(digest):
            return False
        self._shown[node] = digest
        return True
