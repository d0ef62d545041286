from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from reconciler.store.base import Event, Records, Rejection, Result, RevisionRecord
from reconciler.store.history import KEPT_EVENTS, KEPT_REVISIONS, MIGRATIONS, HistoryStore

MINUTE = timedelta(minutes=1)


@pytest.fixture
def history(tmp_path: Path, now: datetime) -> Iterator[HistoryStore]:
    store = HistoryStore(tmp_path / "history.sqlite3", lambda: now)
    yield store
    store.close()


def test_a_message_with_half_a_character_is_recorded(history: HistoryStore, now: datetime) -> None:
    history.record_event("files", "Warning", "Failed", "cannot read /srv/a\udcff.py", now)
    history.record_death("files", "web", "v1-a", now, "a\udcff")
    assert [each.message for each in history.events()] == ["cannot read /srv/a\\udcff.py"]
    assert history.deaths("files", {"web": frozenset(["v1-a"])}, now - MINUTE) == {"web": (now,)}


def test_an_event_comes_back_as_it_was_recorded(history: HistoryStore, now: datetime) -> None:
    east = now.astimezone(timezone(timedelta(hours=2)))
    history.record_event(
        "files", "Warning", "ReplicaDied", "web-1 exited 137", east, revision="v1-a", commit="c0"
    )
    (event,) = history.events()
    assert event == Event(
        "VaultService",
        "files",
        "Warning",
        "ReplicaDied",
        "web-1 exited 137",
        "v1-a",
        "c0",
        count=1,
        first_time=now,
        last_time=now,
    )
    assert event.last_time.tzinfo is UTC


@pytest.mark.parametrize(
    ("after", "counts"),
    [
        (timedelta(0), [2]),
        (9 * MINUTE, [2]),
        (10 * MINUTE, [1, 1]),
        (-MINUTE, [2]),
    ],
)
def test_the_same_event_within_ten_minutes_counts_up(
    history: HistoryStore, now: datetime, after: timedelta, counts: list[int]
) -> None:
    history.record_event("files", "Normal", "Created", "web-1", now, revision="v1-a")
    history.record_event("files", "Normal", "Created", "web-1", now + after, revision="v1-b")
    events = history.events()
    assert [event.count for event in events] == counts
    assert events[-1].last_time == max(now, now + after)
    assert events[-1].revision == "v1-b"
    assert events[0].first_time == now


def test_an_event_that_goes_on_is_one_event_however_long(history: HistoryStore, now: datetime) -> None:
    for minute in range(0, 60, 5):
        history.record_event("files", "Normal", "Waiting", "for files", now + minute * MINUTE)
    (event,) = history.events()
    assert (event.count, event.first_time, event.last_time) == (12, now, now + 55 * MINUTE)


def test_events_that_differ_in_anything_a_person_sees_are_kept_apart(
    history: HistoryStore, now: datetime
) -> None:
    history.record_event("files", "Normal", "Created", "web-1", now)
    history.record_event("wiki", "Normal", "Created", "web-1", now)
    history.record_event("files", "Warning", "Created", "web-1", now)
    history.record_event("files", "Normal", "Removed", "web-1", now)
    history.record_event("files", "Normal", "Created", "web-2", now)
    assert [event.count for event in history.events()] == [1] * 5
    assert len(history.events("files")) == 4


def test_the_newest_events_come_last(history: HistoryStore, now: datetime) -> None:
    for name, minute in (("b", 2), ("a", 1), ("d", 4), ("c", 3)):
        history.record_event(f"service-{name}", "Normal", "Created", name, now + minute * MINUTE)
    assert [event.message for event in history.events()] == ["a", "b", "c", "d"]
    assert [event.message for event in history.events(limit=2)] == ["c", "d"]
    assert [event.message for event in history.events("service-a", limit=2)] == ["a"]


def test_a_chatty_service_pushes_out_its_own_events_only(history: HistoryStore, now: datetime) -> None:
    history.record_event("wiki", "Normal", "Created", "long ago", now - 60 * MINUTE)
    for number in range(KEPT_EVENTS + 5):
        history.record_event("files", "Normal", "Created", str(number), now + timedelta(seconds=number))
    kept = history.events("files", limit=2 * KEPT_EVENTS)
    assert [kept[0].message, kept[-1].message, len(kept)] == ["5", str(KEPT_EVENTS + 4), KEPT_EVENTS]
    assert len(history.events("wiki")) == 1


def test_deaths_are_those_of_the_revisions_asked_for(history: HistoryStore, now: datetime) -> None:
    for workload, revision, minute in (
        ("web", "v1-a", 3),
        ("web", "v1-a", 1),
        ("web", "v2-a", 2),
        ("web", "v1-old", 2),
        ("db", "v1-b", 2),
    ):
        history.record_death("files", workload, revision, now + minute * MINUTE, "exited 1")
    history.record_death("wiki", "web", "v1-a", now + MINUTE, "exited 1")
    found = history.deaths(
        "files", {"web": frozenset({"v1-a", "v2-a"}), "cache": frozenset({"v1-b"})}, since=now + MINUTE
    )
    assert found == {"web": (now + 2 * MINUTE, now + 3 * MINUTE), "cache": ()}


def test_one_death_that_is_seen_twice_is_one(history: HistoryStore, now: datetime) -> None:
    for detail in ("web-1 exited 1", "web-1 exited 1", "web-2 exited 1"):
        history.record_death("files", "web", "v1-a", now, detail)
    assert history.deaths("files", {"web": frozenset({"v1-a"})}, now - MINUTE) == {"web": (now, now)}


def test_a_rollout_is_one_record_from_its_beginning_to_its_end(history: HistoryStore, now: datetime) -> None:
    number = history.open_revision("files", "v1-a", '{"replicas": 2}', "spec", "c0ffee", now)
    assert (
        history.open_revision("files", "v1-a", '{"replicas": 3}', "resync", "", now + MINUTE) == number == 1
    )
    history.finish_revision("files", number, "Complete", now + 2 * MINUTE)
    assert history.open_revision("files", "v1-a", "{}", "spec", "", now + 3 * MINUTE) == number
    assert history.revisions("files") == (
        RevisionRecord(
            "files", 1, "v1-a", '{"replicas": 2}', "spec", "c0ffee", now, "Complete", now + 2 * MINUTE
        ),
    )


def test_a_new_rollout_supersedes_the_unfinished_one(history: HistoryStore, now: datetime) -> None:
    history.open_revision("files", "v1-a", "{}", "spec", "", now)
    history.open_revision("wiki", "v1-a", "{}", "spec", "", now)
    assert history.open_revision("files", "v1-b", "{}", "spec", "", now + MINUTE) == 2
    first, second = history.revisions("files")
    assert (first.result, first.finished_at) == ("Superseded", now + MINUTE)
    assert (second.result, second.finished_at) == ("", None)
    assert history.revisions("wiki")[0].result == ""


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ("Complete", "Complete", "Complete"),
        ("Complete", "RolledBack", "RolledBack"),
        ("Complete", "Superseded", "Complete"),
        ("RolledBack", "Complete", "RolledBack"),
        ("RolledBack", "Superseded", "RolledBack"),
        ("Superseded", "Complete", "Superseded"),
        ("Superseded", "RolledBack", "Superseded"),
    ],
)
def test_an_end_is_final_unless_good_turned_bad(
    history: HistoryStore, now: datetime, first: Result, second: Result, result: Result
) -> None:
    number = history.open_revision("files", "v1-a", "{}", "spec", "", now)
    history.finish_revision("files", number, first, now + MINUTE)
    history.finish_revision("files", number, second, now + 2 * MINUTE)
    history.finish_revision("files", 99, second, now)
    (record,) = history.revisions("files")
    assert record.result == result
    assert record.finished_at == now + (1 if result == first else 2) * MINUTE


def test_a_revision_that_was_rolled_back_is_rejected_until_another_is_opened(
    history: HistoryStore, now: datetime
) -> None:
    assert history.newest("files") is None
    good = history.open_revision("files", "v1-good", "{}", "spec", "", now)
    history.finish_revision("files", good, "Complete", now)
    bad = history.open_revision("files", "v1-bad", "{}", "spec", "", now)
    assert _newest(history) == ("v1-bad", "")
    history.finish_revision("files", bad, "RolledBack", now)
    assert _newest(history) == ("v1-bad", "RolledBack")
    assert history.newest("wiki") is None
    last_good = history.last_good("files")
    assert last_good is not None
    assert last_good.revision == "v1-good"
    assert history.open_revision("files", "v1-other", "{}", "spec", "", now) == 3
    assert _newest(history) == ("v1-other", "")
    assert history.open_revision("files", "v1-bad", "{}", "spec", "", now) == 4


def _newest(history: HistoryStore) -> tuple[str, str]:
    record = history.newest("files")
    assert record is not None
    return record.revision, record.result


def test_jobs_that_are_complete_are_told_once_and_by_service(history: HistoryStore, now: datetime) -> None:
    for revision in ("v1-a", "v1-b", "v1-a"):
        history.record_completion("files", "migrate", revision, now)
    history.record_completion("wiki", "migrate", "v1-c", now)
    assert history.completions("files") == {"migrate": {"v1-a", "v1-b"}}
    history.forget("files")
    assert history.completions("files") == {}
    assert history.completions("wiki") == {"migrate": {"v1-c"}}


def test_without_a_good_rollout_there_is_nothing_to_go_back_to(history: HistoryStore, now: datetime) -> None:
    history.open_revision("files", "v1-a", "{}", "spec", "", now)
    assert history.last_good("files") is None


def test_old_rollouts_are_forgotten_but_never_the_last_good_one(history: HistoryStore, now: datetime) -> None:
    newest = KEPT_REVISIONS + 10
    for number in range(1, newest + 1):
        assert history.open_revision("files", f"v1-{number}", "{}", "spec", "", now) == number
        history.finish_revision("files", number, "Complete" if number <= 3 else "RolledBack", now)
    kept = [record.number for record in history.revisions("files")]
    assert kept == [3, *range(newest - KEPT_REVISIONS + 1, newest + 1)]
    last_good = history.last_good("files")
    assert last_good is not None
    assert last_good.number == 3


def test_a_service_is_forgotten_alone(history: HistoryStore, now: datetime) -> None:
    for service in ("files", "wiki"):
        history.record_event(service, "Normal", "Created", "web-1", now)
        history.record_death(service, "web", "v1-a", now, "exited 1")
        history.open_revision(service, "v1-a", "{}", "spec", "", now)
    history.forget("files")
    deaths = {
        name: history.deaths(name, {"web": frozenset({"v1-a"})}, now - MINUTE) for name in ("files", "wiki")
    }
    assert [event.name for event in history.events()] == ["wiki"]
    assert deaths == {"files": {"web": ()}, "wiki": {"web": (now,)}}
    assert [len(history.revisions(name)) for name in ("files", "wiki")] == [0, 1]
    assert history.open_revision("files", "v1-b", "{}", "spec", "", now) == 1


def test_lost_history_is_an_event_of_the_new_one(
    history: HistoryStore, tmp_path: Path, now: datetime
) -> None:
    history.record_event("files", "Normal", "Created", "web-1", now)
    history.close()
    (tmp_path / "history.sqlite3").write_bytes(b"no database" * 1000)
    assert history.open_revision("files", "v1-a", "{}", "spec", "", now) == 1
    (event,) = history.events()
    assert (event.name, event.type, event.reason, event.last_time) == ("", "Warning", "HistoryLost", now)
    assert str(tmp_path / "history.sqlite3.corrupt-20260501T120000Z") in event.message


def test_without_a_usable_place_everything_is_empty_and_nothing_raises(tmp_path: Path, now: datetime) -> None:
    (tmp_path / "file").touch()
    history: Records = HistoryStore(tmp_path / "file" / "history.sqlite3")
    history.record_event("files", "Normal", "Created", "web-1", now)
    history.record_death("files", "web", "v1-a", now, "exited 1")
    assert history.open_revision("files", "v1-a", "{}", "spec", "", now) == 0
    history.finish_revision("files", 1, "Complete", now)
    history.forget("files")
    assert history.events() == ()
    assert history.deaths("files", {"web": frozenset({"v1-a"})}, now) == {"web": ()}
    assert history.revisions("files") == ()
    assert history.last_good("files") is None
    assert history.newest("files") is None
    history.record_completion("files", "migrate", "v1-a", now)
    assert history.completions("files") == {}


def test_why_a_revision_was_rolled_back_is_kept_without_secrets(tmp_path: Path, now: datetime) -> None:
    history = HistoryStore(
        tmp_path / "history.sqlite3", hide=lambda text, service: text.replace("hunter2", f"<{service}>")
    )
    number = history.open_revision("files", "v1-a", "{}", "spec", "", now)
    why = Rejection("CrashLoop", "web died 3 times; password hunter2", "boom\nhunter2 is wrong")
    history.finish_revision("files", number, "RolledBack", now, why)
    newest = history.newest("files")
    assert newest is not None
    assert newest.rejection == Rejection(
        "CrashLoop", "web died 3 times; password <files>", "boom\n<files> is wrong"
    )
    history.open_revision("files", "v1-b", "{}", "spec", "", now)
    assert [record.rejection is None for record in history.revisions("files")] == [False, True]


FORMER: list[tuple[str | None, Rejection | None]] = [
    ("CrashLoop: web died 3 times", Rejection("CrashLoop", "web died 3 times")),
    (
        "JobFailed: job migrate exited with code 3: no table; its last words:\nno table\n; its last words:\n",
        Rejection("JobFailed", "job migrate exited with code 3: no table", "no table\n; its last words:\n"),
    ),
    ("Build: a fragment\nof two lines", Rejection("Build", "a fragment\nof two lines")),
    ("without a word", None),
    (None, None),
]
"""The message of a rollback's event as former releases wrote it, and what is made of it."""


@pytest.mark.parametrize(("message", "rejection"), FORMER)
def test_the_event_of_a_former_release_says_why_it_rolled_back(
    tmp_path: Path, now: datetime, message: str | None, rejection: Rejection | None
) -> None:
    path = tmp_path / "history.sqlite3"
    event = (
        "INSERT INTO events (service, type, reason, message, revision, commit_id, count, first_time, last_time) "
        "VALUES (?, 'Warning', ?, ?, ?, '', 1, ?, ?)"
    )
    with closing(sqlite3.connect(path)) as sql:
        sql.executescript(";".join(MIGRATIONS[:2]) + ";PRAGMA user_version = 2;")
        for number, result in enumerate(("Complete", "RolledBack"), 1):
            sql.execute(
                "INSERT INTO revisions VALUES ('files', ?, ?, '{}', 'spec', '', 1, ?, 2, 'stack')",
                (number, f"v1-{number}", result),
            )
        # Of another service, of another revision, of another reason, and of an earlier time.
        for service, reason, text, revision, at in (
            ("wiki", "RolledBack", "Wrong: of wiki", "v1-2", 9),
            ("files", "RolledBack", "Wrong: of another revision", "v1-1", 9),
            ("files", "ReplicaDied", "Wrong: of a replica", "v1-2", 9),
            *([("files", "RolledBack", "Wrong: of an earlier time", "v1-2", 3)] if message else []),
            *([("files", "RolledBack", message, "v1-2", 5)] if message else []),
        ):
            sql.execute(event, (service, reason, text, revision, at, at))
        sql.commit()
    history = HistoryStore(path, lambda: now)
    assert [(each.result, each.rejection) for each in history.revisions("files")] == [
        ("Complete", None),
        ("RolledBack", rejection),
    ]
    assert len(history.events()) == (5 if message else 3)
    assert history.open_revision("files", "v1-3", "{}", "spec", "", now) == 3
    history.close()


def test_the_history_of_a_release_that_knew_only_services_is_theirs(tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "history.sqlite3"
    at = (now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    with closing(sqlite3.connect(path)) as sql:
        sql.executescript(";".join(MIGRATIONS[:3]) + ";PRAGMA user_version = 3;")
        for service in ("files", ""):
            sql.execute(
                "INSERT INTO events (service, type, reason, message, revision, commit_id, count, first_time, last_time) "
                "VALUES (?, 'Normal', 'Fetched', 'as told', 'v1-a', 'c0', 2, ?, ?)",
                (service, at, at),
            )
        sql.execute(
            "INSERT INTO revisions VALUES ('files', 7, 'v1-a', '{}', 'spec', 'c0', ?, 'RolledBack', ?, 'web', "
            "'CrashLoop', 'web died', 'its log')",
            (at, at),
        )
        sql.execute("INSERT INTO deaths VALUES (5, 'files', 'web', 'v1-a', ?, 'exit 1')", (at,))
        sql.execute("INSERT INTO completions VALUES ('files', 'job', 'v1-j', ?)", (at,))
        sql.commit()
    history = HistoryStore(path, lambda: now)
    (event,) = history.events("files")
    assert event == Event("VaultService", "files", "Normal", "Fetched", "as told", "v1-a", "c0", 2, now, now)
    assert [(each.kind, each.name, each.subject) for each in history.events()] == [
        ("VaultService", "files", "files"),
        ("", "", ""),
    ]
    assert history.revisions("files") == (
        RevisionRecord(
            "files", 7, "v1-a", "{}", "spec", "c0", now, "RolledBack", now, "web",
            Rejection("CrashLoop", "web died", "its log"),
        ),
    )  # fmt: skip
    assert history.deaths("files", {"web": frozenset({"v1-a"})}, now - timedelta(seconds=1)) == {
        "web": (now,)
    }
    assert history.completions("files") == {"job": {"v1-j"}}
    assert history.open_revision("files", "v1-b", "{}", "spec", "", now) == 8
    history.record_event("files", "Normal", "Fetched", "as told", now)
    assert history.events("files")[0].count == 3
    history.close()
