"""Refusals of the API, and of what stands between it and this machine."""

from __future__ import annotations

import pytest

from reconciler.api.errors import PermanentError
from reconciler.cli.remote.connection import Connection
from reconciler.cli.remote.target import Target


def test_a_code_that_only_a_proxy_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Connection(Target("https://vault.example.com", "token"))
    monkeypatch.setattr(connection, "_answer", lambda *_: (520, b"{}"))
    with pytest.raises(PermanentError, match="the answer is 520"):
        connection.ask("GET", "/api/v1/nodes")
