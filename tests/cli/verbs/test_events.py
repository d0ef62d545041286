"""`events` of one service and of all."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result

from reconciler.store.history import HistoryStore

Vaultctl = Callable[..., Result]


@pytest.fixture
def _two_events(state: Path) -> None:
    state.mkdir()
    history = HistoryStore(state / "history.sqlite3")
    now = datetime.now(UTC)
    history.record_event("files", "Normal", "StartContainer", "start files-web-1", now)
    history.record_event("wiki", "Warning", "ReplicaDied", "wiki-web-1 exited with code 1", now)


@pytest.mark.usefixtures("_two_events")
def test_of_all_and_of_one(vaultctl: Vaultctl) -> None:
    everything = vaultctl("events").stdout
    assert "files" in everything
    assert "ReplicaDied" in everything
    one = vaultctl("events", "files").stdout
    assert "StartContainer" in one
    assert "ReplicaDied" not in one


@pytest.mark.usefixtures("_two_events")
def test_documents_and_limits(vaultctl: Vaultctl) -> None:
    (newest,) = json.loads(vaultctl("events", "--limit", "1", "-o", "json").stdout)
    assert newest["service"] == "wiki"


def test_nothing_happened(vaultctl: Vaultctl) -> None:
    done = vaultctl("events", "files")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "nothing happened to files yet\n"
