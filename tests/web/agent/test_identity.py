"""What an agent shows: enrolled once, replaced only by a newer certificate for the key that it made last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.api.errors import PermanentError, VaultError
from reconciler.certificates.agents import AUTHORITY, LIFE, keep_controller, sign_agent
from reconciler.web.agent.identity import AgentIdentity

START = datetime(2026, 5, 1, tzinfo=UTC)


class Node:
    """An agent's identity, and the controller that signs for it."""

    def __init__(self, directory: Path) -> None:
        self.now = START
        self.authority = directory / "authority"
        keep_controller(self.authority, START)
        self.identity = AgentIdentity(directory / "identity", lambda: self.now)

    def signed(self, node: str = "node-2") -> str:
        request = self.identity.request().encode()
        return sign_agent(self.authority, node, request, self.now).decode()

    def enrol(self) -> str:
        return self.identity.enrol(self.signed(), (self.authority / AUTHORITY).read_text())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_it_is_enrolled_once(node: Node) -> None:
    assert not node.identity.exists
    assert node.enrol() == "node-2"
    assert (node.identity.exists, node.identity.node, node.identity.ends) == (True, "node-2", START + LIFE)
    assert {each.stat().st_mode & 0o777 for each in node.identity.directory.iterdir()} == {0o600}
    assert node.identity.directory.stat().st_mode & 0o777 == 0o700


def test_each_certificate_has_a_key_of_its_own(node: Node) -> None:
    node.enrol()
    before = (node.identity.directory / "agent.pem").read_text()
    node.identity.install(node.signed())
    after = (node.identity.directory / "agent.pem").read_text()
    assert before.partition("-----END")[0] != after.partition("-----END")[0]


def test_a_certificate_is_installed_once(node: Node) -> None:
    """One that was recorded, for example."""
    node.enrol()
    certificate = node.signed()
    node.identity.install(certificate)
    with pytest.raises(VaultError, match="no certificate was asked for"):
        node.identity.install(certificate)
    node.identity.request()
    with pytest.raises(VaultError, match="not for the key"):
        node.identity.install(certificate)


def test_an_older_certificate_does_not_come_back(node: Node) -> None:
    node.enrol()
    node.now = START - timedelta(minutes=30)
    older = node.signed()
    node.now = START
    with pytest.raises(VaultError, match="older than the one that is there"):
        node.identity.install(older)


def test_the_certificate_of_another_node_is_not_installed(node: Node) -> None:
    node.enrol()
    with pytest.raises(VaultError, match="is for node node-3, and this is node-2"):
        node.identity.install(node.signed("node-3"))
    assert node.identity.node == "node-2"


def test_one_that_has_ended_says_what_to_do(node: Node) -> None:
    node.enrol()
    node.now = START + LIFE
    with pytest.raises(
        PermanentError, match=r"enrol this agent again: remove .*identity, and see vaultctl agent token"
    ):
        _ = node.identity.node


def test_what_cannot_be_read_says_where(node: Node) -> None:
    with pytest.raises(PermanentError, match=r"cannot read .*agent\.pem"):
        _ = node.identity.node
