"""The controller's lines to agents: certificates of both sides are renewed while calls go on, and none fails."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.certificates.agents import CONTROLLER_CERTIFICATE
from reconciler.cli.agent_serving import AgentDirectory, serving_agent
from reconciler.proxy.errors import ProxyError
from reconciler.proxy.remote.calls import ListFiles
from reconciler.proxy.remote.values import SiteKey
from reconciler.proxy.remote.wire import Wire
from reconciler.store.agents import Issued
from reconciler.web.agent.enrolment import enrol, enrolment_app, enrolment_tls
from reconciler.web.server import Server
from reconciler.wiring import agents
from reconciler.wiring.agents import AgentLines

SECONDS = 20.0
SITE = SiteKey(kind="services", name="s")


class Clock:
    """The wall's clock of the controller; OpenSSL has its own."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Pair:
    """A controller, and the agent of node-2, which is enrolled and serves."""

    lines: AgentLines
    clock: Clock
    agent: AgentDirectory
    told: list[bool]

    def change(self, node: str = "node-2", **fields: Any) -> None:
        """Give the row of the agent, or of another node, other values."""
        with self.lines.agents._rows.changing() as known:
            known[node] = replace(known["node-2"], node=node, **fields)

    def issued(self) -> tuple[Issued, ...]:
        """The certificates that the agent may show."""
        agent = self.lines.agents.get("node-2")
        assert agent
        return agent.certificates

    def make_due(self) -> None:
        """Let the agent's certificate be in the second half of its life."""
        shown, *others = self.issued()
        ends = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        self.change(certificates=(replace(shown, ends=ends), *others))

    def ask(self) -> object:
        return self.lines.line("node-2").ask(ListFiles(), time.monotonic() + SECONDS, SITE)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    clock, told = Clock(), list[bool]()
    lines = AgentLines(tmp_path / "state", clock, lambda node, answered: told.append(answered))
    agent = AgentDirectory(tmp_path / "node")
    with ExitStack() as opened:
        pin = lines.pin()
        app = enrolment_app(lines.directory, lines.agents, clock)
        with Server(app, "127.0.0.1", 0, enrolment_tls(lines.directory)) as server:
            token = lines.agents.invite("node-2", "127.0.0.1:1", pin)
            enrol(agent.identity, "127.0.0.1", server.port, token)
        url = opened.enter_context(serving_agent(agent, "127.0.0.1:0", agent.terms))
        made = Pair(lines, clock, agent, told)
        made.change(address=url.removeprefix("https://"))
        yield made
        lines.close()


def test_an_enrolled_agent_answers(pair: Pair) -> None:
    assert pair.lines.look() == {"node-2": ""}
    assert pair.ask() == {}
    (state,) = pair.lines.states()
    assert (state.answers, state.problem) == (True, "")
    (snapshot,) = pair.lines.snapshots()
    assert (snapshot.node, snapshot.up, snapshot.not_after) == ("node-2", True, state.ends)
    assert set(pair.told) == {True}


def test_certificates_are_renewed_in_the_middle_of_their_life_and_cut_nothing(pair: Pair) -> None:
    stop, failed, answered = threading.Event(), list[ProxyError](), [0]

    def load() -> None:
        while not stop.is_set():
            try:
                pair.ask()
                answered[0] += 1
            except ProxyError as error:
                failed.append(error)

    clients = [threading.Thread(target=load) for _ in range(3)]
    for each in clients:
        each.start()
    known = pair.issued()
    mine = (pair.lines.directory / CONTROLLER_CERTIFICATE).read_bytes()
    pair.lines.look()
    assert pair.issued() == known
    seen = {known}
    for _ in range(3):
        pair.make_due()
        assert pair.lines.look() == {"node-2": ""}
        assert len(pair.issued()) == 2, "a handshake may be under way"
        assert pair.lines.look() == {"node-2": ""}
        assert len(pair.issued()) == 1, "the former one is no longer accepted"
        seen.add(pair.issued())
        (pair.lines.directory / CONTROLLER_CERTIFICATE).unlink()
        pair.lines.prepare()
    before = answered[0]
    deadline = time.monotonic() + SECONDS
    while answered[0] < before + 10 and not failed:
        assert time.monotonic() < deadline
        stop.wait(0.01)
    stop.set()
    for each in clients:
        each.join(SECONDS)
    assert failed == []
    assert len(seen) == 4
    assert (pair.lines.directory / CONTROLLER_CERTIFICATE).read_bytes() != mine


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_a_renewal_that_is_cut_off_is_made_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The agent goes on with the certificate that it shows, or shows the new one already."""
    exchange = Wire.exchange

    def cut(self: Wire, method: str, path: str, body: bytes, until: float) -> bytes:
        if b"install-certificate" not in body:
            return exchange(self, method, path, body, until)
        if lost == "answer":
            exchange(self, method, path, body, until)
        raise ProxyError("cut off")

    pair.make_due()
    with monkeypatch.context() as patched:
        patched.setattr(Wire, "exchange", cut)
        said = []
        for _ in range(3):
            pair.make_due()
            said.append(pair.lines.look()["node-2"])
            pair.lines.close()
    # After a lost answer it shows the new one, which settles that.
    assert said == (3 * ["cut off"] if lost == "request" else ["cut off", "", "cut off"])
    assert pair.ask() == {}
    for _ in range(2):
        assert pair.lines.look() == {"node-2": ""}
    assert len(pair.issued()) == 1
    pair.lines.close()
    assert pair.ask() == {}


def test_an_agent_that_is_removed_is_not_asked(pair: Pair) -> None:
    pair.ask()
    pair.lines.agents.remove("node-2")
    with pytest.raises(ProxyError, match="does not exist; see: vaultctl agent token node-2"):
        pair.ask()


def test_the_former_certificate_of_a_node_ends_with_its_next_enrolment(pair: Pair, tmp_path: Path) -> None:
    """The agent here is the one whose key was stolen."""
    pair.ask()
    address = pair.lines.line("node-2").wire.peer.address
    token = pair.lines.agents.invite("node-2", address, pair.lines.pin())
    app = enrolment_app(pair.lines.directory, pair.lines.agents, pair.clock)
    with Server(app, "127.0.0.1", 0, enrolment_tls(pair.lines.directory)) as server:
        enrol(AgentDirectory(tmp_path / "fresh").identity, "127.0.0.1", server.port, token)
    pair.lines.line("node-2").wire.close()
    with pytest.raises(ProxyError, match="not the one that was issued last"):
        pair.ask()


def test_the_agent_of_another_node_is_not_asked_at_the_address_of_this_one(
    pair: Pair, tmp_path: Path
) -> None:
    """Whatever the row says of its certificate."""
    token = pair.lines.agents.invite("node-3", "127.0.0.1:1", pair.lines.pin())
    other = AgentDirectory(tmp_path / "other")
    app = enrolment_app(pair.lines.directory, pair.lines.agents, pair.clock)
    with Server(app, "127.0.0.1", 0, enrolment_tls(pair.lines.directory)) as server:
        enrol(other.identity, "127.0.0.1", server.port, token)
    agent = pair.lines.agents.get("node-3")
    assert agent
    with serving_agent(other, "127.0.0.1:0", other.terms) as url:
        pair.change(address=url.removeprefix("https://"), certificates=agent.certificates)
        with pytest.raises(ProxyError, match="Hostname mismatch"):
            pair.ask()


def test_an_agent_that_is_not_enrolled_is_not_asked(pair: Pair) -> None:
    pair.lines.agents.invite("node-3", "127.0.0.1:1", pair.lines.pin())
    with pytest.raises(ProxyError, match="is not enrolled yet"):
        pair.lines.line("node-3")
    assert set(pair.lines.look()) == {"node-2"}
    assert [each.answers for each in pair.lines.states()] == [True, None]


def test_one_that_is_away_is_said_once_and_delays_no_other(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    pair.change("node-9", address="127.0.0.1:1")
    for _ in range(2):
        found = pair.lines.look()
        assert found["node-2"] == ""
        assert "cannot be asked: Connection refused" in found["node-9"]
    assert sum("node-9" in record.message for record in caplog.records) == 1


def test_a_look_that_fails_by_a_defect_ends_no_later_look(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, again, looks = threading.Event(), threading.Event(), list[int]()

    def look() -> None:
        looks.append(1)
        if len(looks) == 1:
            raise RuntimeError
        again.set()

    monkeypatch.setattr(agents, "ROUND_SECONDS", 0.01)
    monkeypatch.setattr(pair.lines, "look", look)
    pair.lines.keep(stop)
    assert again.wait(SECONDS)
    stop.set()


def test_an_agent_is_heard_as_soon_as_there_is_a_line_to_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: queue.SimpleQueue[str] = queue.SimpleQueue()
    monkeypatch.setattr(agents, "follow", lambda line, config, ended: heard.put(line.node))
    stop = threading.Event()
    pair.lines.keep(stop)
    assert heard.get(timeout=SECONDS) == "node-2"
    issued = Issued("ab" * 32, (datetime.now(UTC) + timedelta(days=6)).isoformat())
    token = pair.lines.agents.invite("node-3", "127.0.0.1:1", pair.lines.pin())
    pair.lines.agents.redeem(token, lambda _: issued)
    pair.lines.line("node-3")
    # Long before the next round.
    assert heard.get(timeout=SECONDS) == "node-3"
    stop.set()


def test_a_controller_shows_the_term_in_which_it_acts_and_one_that_stands_by_renews_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    term: list[int | None] = [3]
    monkeypatch.setattr(pair.lines, "_term", lambda: term[0])
    assert pair.ask() == {}
    assert pair.agent.terms.latest == 3
    term[0] = 4
    assert pair.ask() == {}
    assert pair.agent.terms.latest == 4
    term[0] = None
    pair.make_due()
    known = pair.issued()
    assert pair.lines.look() == {"node-2": ""}
    assert pair.issued() == known, "the one that acts renews it"
    assert pair.ask() == {}, "a command beside the controller shows what is there"
    term[0] = 3
    with pytest.raises(ProxyError, match="403"):
        pair.ask()
    term[0] = 5
    assert pair.lines.look() == {"node-2": ""}
    assert pair.issued() != known


def test_an_agent_that_is_enrolled_anew_begins_with_the_terms_of_its_controller(pair: Pair) -> None:
    pair.agent.terms.admit(9)
    app = enrolment_app(pair.lines.directory, pair.lines.agents, pair.clock)
    with Server(app, "127.0.0.1", 0, enrolment_tls(pair.lines.directory)) as server:
        token = pair.lines.agents.invite("node-2", "127.0.0.1:1", pair.lines.pin())
        pair.agent.enrol(f"127.0.0.1:{server.port}", token)
    assert pair.agent.terms.latest == 0
