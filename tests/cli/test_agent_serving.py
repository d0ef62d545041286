"""What `vaultctl agent run` serves, where it cannot."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from reconciler.cli.agent_serving import AgentDirectory, leading_to
from reconciler.web.server import ListenError
from tests.proxy.remote.agents import agent_in


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    directory = AgentDirectory(tmp_path)
    with agent_in(directory.path), socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        engine = tmp_path / "engine.sock"
        with (
            pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{port}: another program uses"),
            leading_to(engine, directory, f"127.0.0.1:{port}", directory.terms),
        ):
            pass
