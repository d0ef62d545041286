"""Numbers never repeat, changes are found after a restart, and a reader that is too far behind is told so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.api import TemporaryError
from reconciler.store import versions as module
from reconciler.store.versions import Change, Versions

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
Kept = dict[str, int]


def opened(path: Path, kept: int = 100, now: datetime = NOW) -> Versions:
    return Versions(path / "versions.sqlite3", lambda: now, kept)


def document(name: str, uid: str = "1", **labels: str) -> Mapping[str, Any]:
    return {"kind": "VaultService", "metadata": {"name": name, "uid": uid, "labels": labels}}


def key(name: str) -> tuple[str, str]:
    return ("VaultService", name)


def told(changes: Any) -> list[tuple[str, str]]:
    assert changes is not None
    return [(each.type, each.document.name) for each in changes]


def test_each_change_has_the_next_number_also_in_its_document(tmp_path: Path) -> None:
    versions = opened(tmp_path)
    begin = versions.number
    first = versions.record({key("a"): document("a"), key("b"): document("b")})
    second = versions.record({key("a"): document("a", color="red")})
    third = versions.record({key("b"): None})
    changes = [*first, *second, *third]
    assert [each.number for each in changes] == [begin + 1, begin + 2, begin + 3, begin + 4]
    assert told(changes) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert [json.loads(each.document.text)["metadata"]["resourceVersion"] for each in changes] == [
        str(each.number) for each in changes
    ]
    assert versions.number == begin + 4
    assert [each.name for each in versions.documents("VaultService")[1]] == ["a"]


def test_what_is_as_before_is_no_change(tmp_path: Path) -> None:
    versions = opened(tmp_path)
    versions.record({key("a"): document("a")})
    number = versions.number
    assert versions.record({key("a"): document("a"), key("never"): None}) == ()
    assert versions.number == number


def test_a_change_says_which_labels_there_were(tmp_path: Path) -> None:
    versions = opened(tmp_path)
    versions.record({key("a"): document("a", color="red")})
    (change,) = versions.record({key("a"): document("a", color="blue")})
    assert (change.before, change.document.labels) == ({"color": "red"}, {"color": "blue"})


def test_one_that_was_made_again_is_deleted_first(tmp_path: Path) -> None:
    versions = opened(tmp_path)
    versions.record({key("a"): document("a", uid="1")})
    assert told(versions.record({key("a"): document("a", uid="2")})) == [("DELETED", "a"), ("ADDED", "a")]


@pytest.mark.parametrize("memory", [True, False])
def test_changes_since_a_number_are_the_same_after_a_restart(tmp_path: Path, *, memory: bool) -> None:
    versions = opened(tmp_path)
    begin = versions.number
    versions.record({key("a"): document("a", color="red"), key("b"): document("b")})
    versions.record({key("a"): None})
    before = [versions.since(begin + skipped, 10) for skipped in range(4)]
    if not memory:
        versions.close()
        versions = opened(tmp_path)
    assert [versions.since(begin + skipped, 10) for skipped in range(4)] == before
    assert [len(each or ()) for each in before] == [3, 2, 1, 0]
    assert versions.since(begin, 2) == (before[0] or ())[:2]


def test_a_restart_keeps_documents_and_goes_on_counting(tmp_path: Path) -> None:
    versions = opened(tmp_path)
    versions.record({key("a"): document("a", color="red")})
    documents = versions.documents("VaultService")
    versions.close()
    again = opened(tmp_path, now=datetime(2020, 1, 1, tzinfo=UTC))
    assert again.documents("VaultService") == documents
    (change,) = again.record({key("a"): None})
    assert change.number == documents[0] + 1


def test_a_number_that_is_too_old_or_of_another_journal_is_known_to_be(tmp_path: Path) -> None:
    versions = opened(tmp_path, kept=3)
    begin = versions.number
    for turn in range(5):
        versions.record({key("a"): document("a", turn=str(turn))})
    assert versions.since(begin + 1, 10) is None
    assert versions.since(begin + 99, 10) is None
    assert len(versions.since(begin + 2, 10) or ()) == 3


def test_a_lost_journal_begins_above_all_former_numbers(tmp_path: Path) -> None:
    versions = opened(tmp_path)
    versions.record({key(str(each)): document(str(each)) for each in range(50)})
    last = versions.number
    versions.close()
    for path in tmp_path.iterdir():
        path.unlink()
    assert opened(tmp_path, now=NOW.replace(second=1)).number > last


def test_a_damaged_journal_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "versions.sqlite3").write_bytes(b"no database at all" * 100)
    versions = opened(tmp_path)
    assert versions.documents("VaultService")[1] == ()
    assert (tmp_path / "versions.sqlite3.corrupt-20260501T120000Z").exists()


def test_without_a_disk_nothing_is_recorded_and_nobody_is_told(tmp_path: Path) -> None:
    versions = opened(tmp_path)
    rung: list[int] = []
    versions.tell(lambda: rung.append(1))
    with sqlite3.connect(tmp_path / "versions.sqlite3") as other:
        other.execute("DROP TABLE changes")
    number = versions.number
    with pytest.raises(TemporaryError, match="cannot write"):
        versions.record({key("a"): document("a")})
    assert (versions.number, versions.documents("VaultService")[1], rung) == (number, (), [])


def test_large_documents_that_change_often_fill_no_memory_and_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_IN_MEMORY", 30_000)
    most, size = 500_000, 10_000
    versions = Versions(tmp_path / "versions.sqlite3", lambda: NOW, most=most)
    versions.record({key("a"): document("a")})
    first = versions.number
    for turn in range(200):
        versions.record({key("b"): document("b", turn=f"{turn:0{size}}")})
        assert sum(path.stat().st_size for path in tmp_path.glob("versions.sqlite3")) < 2 * most
        assert len(versions._recent) <= 3
    # One that is too far behind lists again; those that follow are told of each change, from memory or disk.
    assert versions.since(first, 10) is None
    for behind in (1, 10):
        found = versions.since(versions.number - behind, 100)
        assert found is not None
        assert [each.number for each in found] == list(
            range(versions.number - behind + 1, versions.number + 1)
        )
    number = versions.number
    versions.close()
    again = Versions(tmp_path / "versions.sqlite3", lambda: NOW, most=most)
    assert (again.number, again.names("VaultService")) == (number, {"a", "b"})


def test_listeners_are_told_of_changes_only(tmp_path: Path) -> None:
    versions = opened(tmp_path)
    rung: list[int] = []

    def ring() -> None:
        rung.append(versions.number)

    versions.tell(ring)
    versions.record({key("a"): document("a")})
    versions.record({key("a"): document("a")})
    versions.silence(ring)
    versions.record({key("a"): None})
    assert len(rung) == 1


# Each example waits for the disk several times.
@settings(max_examples=25)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", "1", "2"])), max_size=4), max_size=12
    )
)
def test_a_reader_that_follows_ends_with_what_a_list_gives(
    tmp_path_factory: pytest.TempPathFactory, turns: list[list[tuple[str, str]]]
) -> None:
    path = tmp_path_factory.mktemp("versions")
    versions = opened(path, kept=1000)
    at, known = versions.number, Kept()
    for index, turn in enumerate(turns):
        versions.record({key(name): document(name, color=color) if color else None for name, color in turn})
        if index % 3 == 1:
            versions.close()
            versions = opened(path, kept=1000)
        if index % 2:
            at = _followed(versions, at, known)
    _followed(versions, at, known)
    documents = versions.documents("VaultService")[1]
    assert known == {each.name: each.number for each in documents}
    versions.close()


def _followed(versions: Versions, at: int, known: Kept) -> int:
    while changes := versions.since(at, 2):
        for change in changes:
            _apply(change, known)
            at = change.number
    return at


def _apply(change: Change, known: Kept) -> None:
    if change.type == "DELETED":
        del known[change.document.name]
    else:
        assert (change.document.name in known) == (change.type == "MODIFIED")
        known[change.document.name] = change.number
