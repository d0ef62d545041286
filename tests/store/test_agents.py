"""A token enrols one agent, once and soon; what an agent may show is in its row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.api import PermanentError
from reconciler.store.agents import FILE, Agents, Issued, pin_of, split_address

START = datetime(2026, 5, 1, tzinfo=UTC)
ENDS = START + timedelta(days=7)
PIN = "ab" * 32


class Clock:
    now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agents(tmp_path: Path, clock: Clock) -> Agents:
    return Agents(tmp_path, clock)


def issue(node: str) -> Issued:
    return Issued(f"certificate of {node}", ENDS.isoformat())


def shown(agents: Agents) -> list[str]:
    """What the agent of node-2 may show."""
    agent = agents.get("node-2")
    assert agent
    return [each.fingerprint for each in agent.certificates]


def test_a_token_enrols_its_node_and_is_stored_as_a_digest(agents: Agents, tmp_path: Path) -> None:
    token = agents.invite("node-2", "10.0.0.2:9443", PIN)
    written = (tmp_path / FILE).read_text()
    assert token.split("_")[2] not in written
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert pin_of(token) == PIN
    agent = agents.redeem(token, issue)
    assert agent
    assert (agent.node, agent.address) == ("node-2", "10.0.0.2:9443")
    assert (shown(agents), agent.ends) == (["certificate of node-2"], ENDS)
    assert agents.list() == (agent,)


def test_a_token_works_once(agents: Agents) -> None:
    token = agents.invite("node-2", "10.0.0.2:9443", PIN)
    assert agents.redeem(token, issue)
    assert agents.redeem(token, issue) is None


def test_a_token_ends_after_an_hour(agents: Agents, clock: Clock) -> None:
    token = agents.invite("node-2", "10.0.0.2:9443", PIN)
    clock.now = START + timedelta(minutes=59)
    other = agents.invite("node-3", "10.0.0.3:9443", PIN)
    clock.now = START + timedelta(minutes=60)
    assert agents.redeem(token, issue) is None
    assert agents.redeem(other, issue)


def test_a_token_is_for_its_node_only(agents: Agents) -> None:
    token = agents.invite("node-2", "10.0.0.2:9443", PIN)
    agents.invite("node-3", "10.0.0.3:9443", PIN)
    assert agents.redeem(token.replace("node-2", "node-3"), issue) is None
    for wrong in (
        "",
        "x",
        token[:-1],
        token.replace("_", "-"),
        f"{token}\n",
        token.replace("node-2", "node-4"),
    ):
        assert agents.redeem(wrong, issue) is None
    assert agents.redeem(token, issue)


def test_a_new_token_takes_the_place_of_the_former_one(agents: Agents) -> None:
    former = agents.invite("node-2", "10.0.0.2:9443", PIN)
    token = agents.invite("node-2", "10.0.0.2:9443", PIN)
    assert agents.redeem(former, issue) is None
    assert agents.redeem(token, issue)


def test_a_certificate_that_cannot_be_issued_leaves_the_token(agents: Agents) -> None:
    token = agents.invite("node-2", "10.0.0.2:9443", PIN)

    def refuse(node: str) -> Issued:
        raise PermanentError("no")

    with pytest.raises(PermanentError):
        agents.redeem(token, refuse)
    assert agents.redeem(token, issue)


def test_the_former_certificate_counts_until_the_new_one_is_shown(agents: Agents) -> None:
    agents.redeem(agents.invite("node-2", "10.0.0.2:9443", PIN), issue)
    later = (ENDS + timedelta(days=3)).isoformat()
    agents.renew("node-2", Issued("second", later))
    assert shown(agents) == ["certificate of node-2", "second"]
    agent = agents.get("node-2")
    assert agent
    assert agent.ends == ENDS, "it is still due"
    assert (agent.may_show("second"), agent.may_show("third")) == (True, False)
    agents.settle("node-2", "third")
    agents.settle("node-2", "second")
    assert shown(agents) == ["second"]
    agents.renew("node-9", Issued("x", later))
    assert agents.get("node-9") is None


def test_the_one_that_is_shown_counts_however_often_a_new_one_does_not_arrive(agents: Agents) -> None:
    agents.redeem(agents.invite("node-2", "10.0.0.2:9443", PIN), issue)
    for name in ("second", "third", "fourth"):
        agents.renew("node-2", Issued(name, ENDS.isoformat()))
    assert shown(agents) == ["certificate of node-2", "fourth"]
    agents.settle("node-2", "certificate of node-2")
    assert shown(agents) == ["certificate of node-2"]


def test_an_enrolment_ends_the_certificates_of_the_former_one(agents: Agents) -> None:
    agents.redeem(agents.invite("node-2", "10.0.0.2:9443", PIN), issue)
    token = agents.invite("node-2", "10.0.0.7:9443", PIN)
    assert shown(agents) == ["certificate of node-2"]
    enrolled = agents.redeem(token, lambda node: Issued("new", ENDS.isoformat()))
    assert enrolled
    assert (shown(agents), enrolled.address) == (["new"], "10.0.0.7:9443")


def test_one_that_is_removed_is_gone(agents: Agents) -> None:
    token = agents.invite("node-2", "10.0.0.2:9443", PIN)
    assert agents.remove("node-2")
    assert not agents.remove("node-2")
    assert agents.redeem(token, issue) is None


@pytest.mark.parametrize(
    "text", ["10.0.0.2", "host:1", "10.0.0.2:0", "10.0.0.2:65536", "fd00::2:9443", ":9", ""]
)
def test_what_is_no_address_is_refused(agents: Agents, text: str) -> None:
    with pytest.raises(PermanentError, match="ADDRESS:PORT"):
        agents.invite("node-2", text, PIN)


def test_addresses() -> None:
    assert split_address("10.0.0.2:9443") == ("10.0.0.2", 9443)
    assert split_address("[fd00::2]:9443") == ("fd00::2", 9443)
