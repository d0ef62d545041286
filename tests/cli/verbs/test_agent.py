"""Agents are invited, listed and removed; one that is not enrolled says what it needs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.certificates.agents import AUTHORITY, fingerprint
from reconciler.store.agents import Agents, Issued, pin_of
from tests.cli.conftest import Vaultctl

ADDRESS = ("--address", "127.0.0.1:1")


def enrolled(state: Path, token: str, ends: timedelta) -> None:
    agents = Agents(state, lambda: datetime.now(UTC))
    end = (datetime.now(UTC) + ends).isoformat()
    assert agents.redeem(token, lambda node: Issued("a certificate", end))


def test_a_token_names_the_authority_of_the_controller(vaultctl: Vaultctl, state: Path) -> None:
    token = vaultctl("agent", "token", "node-2", *ADDRESS).stdout.strip()
    authority = state / "agents" / AUTHORITY
    assert pin_of(token) == fingerprint(authority.read_bytes())
    assert (state / "agents").stat().st_mode & 0o777 == 0o700
    # The next one is of the same authority.
    assert pin_of(vaultctl("agent", "token", "node-3", *ADDRESS).stdout.strip()) == pin_of(token)


def test_agents_are_listed_with_what_is_wrong_and_removed(vaultctl: Vaultctl, state: Path) -> None:
    enrolled(state, vaultctl("agent", "token", "node-2", *ADDRESS).stdout.strip(), timedelta(days=6))
    enrolled(state, vaultctl("agent", "token", "node-3", *ADDRESS).stdout.strip(), timedelta(days=-1))
    vaultctl("agent", "token", "node-4", *ADDRESS)
    lines = [line.split(maxsplit=3) for line in vaultctl("agent", "list").stdout.splitlines()[1:]]
    assert [line[:3] for line in lines] == [
        ["node-2", "127.0.0.1:1", "Away"],
        ["node-3", "127.0.0.1:1", "Away"],
        ["node-4", "127.0.0.1:1", "NotEnrolled"],
    ]
    assert lines[0][3].startswith("in 5d")
    assert "cannot be asked: Connection refused" in lines[0][3]
    assert lines[1][3].startswith("ended")
    documents = json.loads(vaultctl("agent", "list", "-o", "json").stdout)
    assert [(each["node"], each["enrolled"], each["answers"]) for each in documents] == [
        ("node-2", True, False),
        ("node-3", True, False),
        ("node-4", False, None),
    ]
    assert vaultctl("agent", "remove", "node-2").stdout == "agent of node node-2 removed\n"
    assert "node-2" not in vaultctl("agent", "list").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("token", "Node_2", *ADDRESS), "cannot be the name of a node"),
        (("token", "node-2"), "Missing option '--address'"),
        (("token", "node-2", "--address", "host:1"), "write ADDRESS:PORT, such as 10.0.0.2:9443"),
        (("remove", "node-2"), "there is no agent of a node 'node-2'"),
        (("run",), "this agent is not enrolled yet: give --controller and --token-file"),
        (("run", "--controller", "127.0.0.1:1", "--token-file", "-"), "this is no token of an agent"),
        (("run", "--controller", "host:1", "--token-file", "-"), "write ADDRESS:PORT"),
    ],
)
def test_mistakes_are_named(vaultctl: Vaultctl, words: tuple[str, ...], said: str) -> None:
    done = vaultctl("agent", *words, input="no token\n")
    assert done.exit_code != 0
    assert said in done.stderr
    assert "no token\n" not in done.stderr
