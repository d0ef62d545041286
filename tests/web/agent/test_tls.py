"""A certificate is renewed while the server serves: open connections stay open, and the next ones meet the new one."""

from __future__ import annotations

import http.client
import ssl
from datetime import UTC, datetime
from pathlib import Path

from reconciler.certificates.agents import agent_name, sign_agent
from reconciler.web.agent.identity import IDENTITY_FILE
from tests.proxy.remote.agents import NODE, Agent, agent_in
from tests.web.agent.test_app import asked, connected


def renew(agent: Agent) -> None:
    request = agent.identity.request().encode()
    agent.identity.install(sign_agent(agent.authority, NODE, request, datetime.now(UTC)).decode())


def shown(connection: ssl.SSLSocket) -> bytes:
    return connection.getpeercert(binary_form=True) or b""


def test_the_next_connection_meets_the_new_certificate_and_open_ones_go_on(tmp_path: Path) -> None:
    with agent_in(tmp_path / "agent") as agent, connected(agent) as before:
        assert asked(before, "GET", "/hello")[0] == 200
        met = {shown(before)}
        for _ in range(3):
            renew(agent)
            with connected(agent) as after:
                assert asked(after, "GET", "/hello")[0] == 200
                assert asked(before, "GET", "/hello")[0] == 200
                met.add(shown(after))
        assert len(met) == 4


def test_a_renewed_server_still_asks_clients_who_they_are(tmp_path: Path) -> None:
    with agent_in(tmp_path / "agent") as agent:
        renew(agent)
        bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        bare.load_verify_locations(agent.identity.directory / "ca.crt")
        try:
            with connected(agent, bare) as connection:
                asked(connection, "GET", "/hello")
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            return
    raise AssertionError(f"{agent_name(NODE)} answered a client without a certificate")


def test_a_file_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    with agent_in(tmp_path / "agent") as agent:
        with connected(agent) as connection:
            before = shown(connection)
        (agent.identity.directory / IDENTITY_FILE).write_text("broken")
        with connected(agent) as connection:
            assert shown(connection) == before
