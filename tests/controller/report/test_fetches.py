"""What a Git source meets is counted at each fetch and told when it is new."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from metrics.recorder import Recorder
from reconciler.api.reasons import Reason
from reconciler.controller.report.fetches import FetchJournal
from reconciler.sources.base import Fetch, Setback
from reconciler.store.history import HistoryStore

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AWAY = Setback(Reason.FETCH_FAILED, "it is away")
UNSIGNED = Setback(Reason.UNTRUSTED_COMMIT, "nobody signed it")


@pytest.fixture
def history(tmp_path: Path) -> HistoryStore:
    return HistoryStore(tmp_path / "history.sqlite3")


def test_fetches_are_counted_and_news_are_told(history: HistoryStore) -> None:
    recorder = Recorder()
    registry = CollectorRegistry()
    registry.register(recorder)
    journal = FetchJournal("infra@main", history, recorder, lambda: NOW)
    journal.saw(Fetch(0.2, "", AWAY, is_news=True))
    assert (journal.snapshot().last_fetch, journal.snapshot().refused) == (None, None)
    for is_news in (True, False, False):
        journal.saw(Fetch(0.2, "abc", None, is_news))
    assert journal.snapshot().refused is False
    journal.saw(Fetch(0.2, "abc", UNSIGNED, is_news=True))
    assert journal.snapshot().refused
    assert (journal.snapshot().name, journal.snapshot().last_fetch) == ("infra@main", NOW)
    counts = {
        result: registry.get_sample_value(
            "vault_git_fetches_total", {"source": "infra@main", "result": result}
        )
        for result in ("success", "error")
    }
    # A commit that is not trusted was fetched all the same.
    assert counts == {"success": 4, "error": 1}
    told = [(event.type, event.reason, event.commit, event.count) for event in history.events()]
    assert sorted(told) == [
        ("Normal", "Fetched", "abc", 1),
        ("Warning", "FetchFailed", "", 1),
        ("Warning", "UntrustedCommit", "abc", 1),
    ]


def test_a_commit_stays_refused_until_a_good_one_is_fetched(history: HistoryStore) -> None:
    journal = FetchJournal("infra@main", history, Recorder(), lambda: NOW)
    seen = []
    for setback in (None, UNSIGNED, UNSIGNED, AWAY, None, AWAY):
        journal.saw(Fetch(0.2, "abc", setback, is_news=False))
        seen.append(journal.snapshot().refused)
    assert seen == [False, True, True, True, False, False], "a server that is away says nothing of the commit"
