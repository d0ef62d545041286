"""Which controllers an agent obeys: a former holder of the lease changes nothing, also over connections that are open."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api.errors import PermanentError
from reconciler.certificates.agents import keep_controller
from reconciler.certificates.errors import PeerError
from reconciler.proxy.remote.wire import AgentRefusedError
from reconciler.web.agent.terms import Terms
from tests.proxy.remote.agents import agent_in

SECONDS = 20.0


def test_none_of_an_earlier_term_is_admitted_also_after_a_restart(tmp_path: Path) -> None:
    terms, risen = Terms(tmp_path / "term"), list[int]()
    terms.risen.append(risen.append)
    for term in (0, 3, 3, 7):
        terms.admit(term)
    assert risen == [3, 7]
    for known in (terms, Terms(tmp_path / "term")):
        with pytest.raises(PeerError, match="term 3 of the lease, and one with term 7"):
            known.admit(3)
        known.admit(7)
    assert (tmp_path / "term").stat().st_mode & 0o777 == 0o600


def test_a_term_that_cannot_be_kept_is_not_obeyed(tmp_path: Path) -> None:
    terms = Terms(tmp_path / "gone" / "term")
    terms.admit(0)
    with pytest.raises(PeerError, match="cannot be kept"):
        terms.admit(1)
    with pytest.raises(PeerError, match="cannot be kept"):
        terms.admit(1)


@pytest.mark.parametrize("text", ["", "x", "-1", "1" * 30, "٣"])
def test_a_file_that_is_damaged_is_no_term(tmp_path: Path, text: str) -> None:
    (tmp_path / "term").write_text(text)
    with pytest.raises(PermanentError, match="damaged"):
        Terms(tmp_path / "term")


def test_an_agent_refuses_a_former_holder_on_each_request(tmp_path: Path) -> None:
    with agent_in(tmp_path / "agent") as agent:
        deadline = time.monotonic() + SECONDS
        assert keep_controller(agent.authority, datetime.now(UTC), 4)
        former = agent.line()
        former.ping(deadline)
        assert keep_controller(agent.authority, datetime.now(UTC), 5)
        agent.line().ping(deadline)
        # Its connection is open, and shows the certificate of its term.
        with pytest.raises(AgentRefusedError):
            former.ping(deadline)
        assert keep_controller(agent.authority, datetime.now(UTC), 4)
        with pytest.raises(AgentRefusedError):
            agent.line().ping(deadline)
        assert keep_controller(agent.authority, datetime.now(UTC), 6)
        agent.line().ping(deadline)
