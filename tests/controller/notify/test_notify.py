"""Events reach a real HTTP server once, later when it was away, and never a pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.controller.notify.notify import Notifier, SendError, chosen, post_to
from reconciler.store.history import HistoryStore
from tests.controller.chat import Chat, listening, tells_after_an_absence


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, **duration: float) -> None:
        self.time += timedelta(**duration)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def history(tmp_path: Path) -> HistoryStore:
    return HistoryStore(tmp_path / "history.sqlite3")


@pytest.fixture
def chat() -> Iterator[Chat]:
    with listening() as made:
        yield made


Make = Callable[[], Notifier]


@pytest.fixture
def make(history: HistoryStore, chat: Chat, clock: Clock) -> Make:
    return lambda: Notifier(history, post_to(chat.url), chosen("important"), clock)


def test_a_warning_is_told_with_what_chats_and_programs_read(
    history: HistoryStore, chat: Chat, clock: Clock, make: Make
) -> None:
    history.record_event("files", "Warning", "Old", "before we began", clock() - timedelta(minutes=1))
    notifier = make()
    clock.pass_by(seconds=1)
    history.record_event(
        "files",
        "Warning",
        "ReplicaDied",
        "it died",
        clock(),
        revision="v1-1",
        commit="main@sha1:0123456789abcdef",
    )
    history.record_event("files", "Normal", "StartContainer", "routine", clock())
    notifier.look()
    (message,) = chat.messages
    assert message["text"] == "⚠ files: ReplicaDied: it died (main@sha1:0123456789)"
    assert (message["service"], message["reason"], message["revision"]) == ("files", "ReplicaDied", "v1-1")


def test_the_same_is_told_once_an_hour(history: HistoryStore, chat: Chat, clock: Clock, make: Make) -> None:
    notifier = make()
    for _ in range(30):
        clock.pass_by(minutes=1)
        history.record_event("files", "Warning", "ReplicaDied", f"at {clock()}", clock(), revision="v1-1")
        notifier.look()
    assert chat.reasons == ["ReplicaDied"]
    history.record_event("files", "Warning", "ReplicaDied", "another revision", clock(), revision="v1-2")
    history.record_event("wiki", "Warning", "ReplicaDied", "another service", clock(), revision="v1-1")
    notifier.look()
    assert len(chat.messages) == 3
    clock.pass_by(minutes=61)
    history.record_event("files", "Warning", "ReplicaDied", "again", clock(), revision="v1-1")
    notifier.look()
    assert len(chat.messages) == 4


def test_what_is_recorded_long_after_its_time_is_told_once(
    history: HistoryStore, chat: Chat, clock: Clock, make: Make
) -> None:
    """A pass dates what it has noticed by when it began to look, and the agent of a node did not answer for a while."""
    notifier = make()
    clock.pass_by(minutes=10)
    began = clock()
    for _ in range(60):
        clock.pass_by(seconds=1)
        notifier.look()
    history.record_event("files", "Warning", "NodeAway", "node n2: does not answer", began)
    for _ in range(600):
        clock.pass_by(seconds=1)
        notifier.look()
    assert chat.reasons == ["NodeAway"]


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_was_not_taken_comes_again(
    history: HistoryStore, chat: Chat, clock: Clock, make: Make, status: int
) -> None:
    notifier = make()
    chat.status = status
    clock.pass_by(seconds=1)
    history.record_event("files", "Warning", "ReplicaDied", "it died", clock())
    for _ in range(3):
        clock.pass_by(minutes=1)
        with pytest.raises(SendError, match=f"status {status}"):
            notifier.look()
    chat.status = 200
    notifier.look()
    assert chat.reasons == ["ReplicaDied"]


def test_old_news_is_not_told(history: HistoryStore, chat: Chat, clock: Clock, make: Make) -> None:
    notifier = make()
    history.record_event("files", "Warning", "ReplicaDied", "it died", clock())
    clock.pass_by(minutes=16)
    history.record_event("files", "Warning", "RolledBack", "it was given up", clock())
    notifier.look()
    assert chat.reasons == ["RolledBack"]


def test_nobody_there_does_not_end_the_thread_and_names_no_address(
    history: HistoryStore, chat: Chat, clock: Clock, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = make()
    history.record_event("files", "Warning", "ReplicaDied", "it died", clock())
    tells_after_an_absence(notifier, chat, caplog)
    assert "secret" not in caplog.text


def test_a_closed_port_is_an_error_without_its_address() -> None:
    with pytest.raises(SendError) as raised:
        post_to("http://127.0.0.1:1/secret")(b"{}")
    assert "secret" not in str(raised.value)


def test_choices(history: HistoryStore, clock: Clock) -> None:
    history.record_event("files", "Warning", "Died", "", clock())
    history.record_event("files", "Normal", "Fetched", "", clock())
    history.record_event("files", "Normal", "Created", "", clock())
    events = history.events()
    assert [
        [each.reason for each in events if chosen(choice)(each)]
        for choice in ("warnings", "important", "all")
    ] == [
        ["Died"],
        ["Died", "Fetched"],
        ["Died", "Fetched", "Created"],
    ]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/", ""])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        post_to(url)


def test_each_commit_is_news(history: HistoryStore, chat: Chat, clock: Clock, make: Make) -> None:
    notifier = make()
    for commit in ("one", "one", "two"):
        clock.pass_by(seconds=1)
        history.record_event("", "Normal", "Fetched", f"main is at {commit}", clock(), commit=commit)
        notifier.look()
    assert [message["commit"] for message in chat.messages] == ["one", "two"]
