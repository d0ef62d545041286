"""Which agent is asked for a slot, and when the agent of a node needs a token."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.core.desired.stack import Site
from reconciler.proxy.errors import ProxyAwayError, ProxyError
from reconciler.proxy.haproxy.gateway.directory import write_slots
from reconciler.proxy.remote.line import Line
from reconciler.store.agents import Issued
from reconciler.wiring import agents as wiring_agents
from reconciler.wiring import node_agents, utc_now
from reconciler.wiring.agents import AgentLines
from reconciler.wiring.node_agents import NodeAgents

ADDRESS = "127.0.0.1"


@pytest.fixture
def lines(tmp_path: Path) -> AgentLines:
    return AgentLines(tmp_path / "state", utc_now)


@pytest.fixture
def agents(lines: AgentLines) -> NodeAgents:
    return NodeAgents(lines, lambda: 60.0, lambda: False)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "state" / "gateways" / "main", -1, -1)
    write_slots(made, (1, 2), {2: "b"})
    return made


def enrolled(lines: AgentLines, node: str, ends_in: timedelta) -> None:
    """As if it had used its token."""
    issued = Issued("ab" * 32, (utc_now() + ends_in).isoformat())
    lines.agents.redeem(lines.agents.invite(node, f"{ADDRESS}:9443", lines.pin()), lambda _: issued)


def test_a_token_is_needed_until_there_is_one_and_when_the_certificate_has_ended(
    lines: AgentLines, agents: NodeAgents
) -> None:
    assert agents.needs_token("b", ADDRESS)
    agents.invite("b", ADDRESS)
    assert not agents.needs_token("b", ADDRESS)
    assert not agents.is_enrolled("b")
    assert agents.needs_token("b", "127.0.0.2"), "the node has another address"
    enrolled(lines, "b", timedelta(days=1))
    assert agents.is_enrolled("b")
    assert not agents.needs_token("b", ADDRESS)
    enrolled(lines, "b", timedelta(seconds=-1))
    assert agents.needs_token("b", ADDRESS)


def test_a_token_that_will_end_soon_is_replaced(agents: NodeAgents, monkeypatch: pytest.MonkeyPatch) -> None:
    agents.invite("b", ADDRESS)
    later: Callable[[], object] = lambda: utc_now() + timedelta(minutes=31)  # noqa: E731
    monkeypatch.setattr(node_agents, "utc_now", later)
    assert agents.needs_token("b", ADDRESS)


def test_a_slot_is_asked_for_where_it_is(lines: AgentLines, agents: NodeAgents, site: Site) -> None:
    with pytest.raises(ProxyAwayError):
        agents.reach(site, 1, 1.0).led_to()
    with pytest.raises(ProxyError, match="node b: its agent does not exist") as caught:
        agents.reach(site, 2, 1.0).led_to()
    assert not isinstance(caught.value, ProxyAwayError), "it may be serving"
    assert agents.reach(site, 2, 1.0).pool("h001").serves()


def test_an_agent_that_was_silent_is_not_asked_again_by_the_same_pass(
    lines: AgentLines, agents: NodeAgents, site: Site
) -> None:
    enrolled(lines, "b", timedelta(days=1))
    # Nothing listens there.
    with pytest.raises(ProxyError, match="cannot be asked"):
        agents.reach(site, 2, 1.0).led_to()
    with pytest.raises(ProxyError, match="did not answer a moment ago"):
        agents.reach(site, 2, 1.0).led_to()
    assert "cannot be asked" in agents.problem("b")


def test_one_pass_at_a_time_finds_out_whether_a_silent_agent_answers_again(
    lines: AgentLines, agents: NodeAgents, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(lines, "b", timedelta(days=1))
    problem = agents.problem("b")
    assert "cannot be asked" in problem
    pings: list[float] = []
    monkeypatch.setattr(Line, "ping", lambda self, until: pings.append(until))
    assert (agents.problem("b"), pings) == (problem, []), "it has just been silent"
    lines._lost["b"] -= wiring_agents.SILENT_SECONDS
    assert not lines.was_silent("b"), "this one finds out"
    assert lines.was_silent("b"), "and another one does not wait for it"
    lines.line("b").wire.told("b", True)
    assert not lines.was_silent("b")
    assert (agents.problem("b"), len(pings)) == ("", 1)


def test_a_socket_leads_to_the_engine_of_a_node_for_this_user_only(agents: NodeAgents) -> None:
    url = agents.engine("b")
    assert url == agents.engine("b")
    path = Path(url.removeprefix("unix://"))
    assert path.parent.stat().st_mode & 0o777 == 0o700
    agents.close()
    assert not path.parent.exists()
