from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path

import pytest

from reconciler.store import files
from reconciler.store.database import Database

NOTES = ("CREATE TABLE notes (text TEXT)",)


class Notes:
    """A database with one table, and the damage that it reported."""

    def __init__(self, path: Path, now: datetime, migrations: tuple[str, ...] = NOTES) -> None:
        self.path = path
        self.aside: list[Path] = []
        self.database = Database(path, migrations, lambda: now, self.aside.append)

    def add(self, text: str) -> bool:
        def insert(sql: sqlite3.Connection) -> bool:
            sql.execute("INSERT INTO notes (text) VALUES (?)", (text,))
            return True

        return self.database.write(insert, False)

    def all(self) -> list[str]:
        return [row["text"] for row in self.database.read("SELECT text FROM notes ORDER BY rowid", ())]


Open = Callable[..., Notes]


@pytest.fixture
def notes(tmp_path: Path, now: datetime) -> Iterator[Open]:
    """Opens the database of the test, as often as wanted."""
    opened: list[Notes] = []

    def make(path: Path = tmp_path / "notes.sqlite3", migrations: tuple[str, ...] = NOTES) -> Notes:
        opened.append(Notes(path, now, migrations))
        return opened[-1]

    yield make
    for each in opened:
        each.database.close()


def test_what_was_written_is_read_by_another_and_by_nobody_else(notes: Open) -> None:
    first, second = notes(), notes()
    assert first.all() == []
    assert first.add("one")
    assert second.all() == ["one"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in first.path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "notes.sqlite3-wal" in modes


def test_a_write_is_done_whole_or_not_at_all(notes: Open) -> None:
    each = notes()

    def half(sql: sqlite3.Connection) -> None:
        sql.execute("INSERT INTO notes (text) VALUES ('half')")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        each.database.write(half, None)
    assert each.all() == []
    assert each.add("next")


def test_threads_share_one_store(notes: Open) -> None:
    each = notes()
    threads = [
        threading.Thread(target=lambda: [each.add("x") for _ in range(50)], daemon=True) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert len(each.all()) == 200


WRITER = """
import sqlite3, sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.store import files
from reconciler.store.database import Database
database = Database(Path(sys.argv[1]), ("CREATE TABLE notes (text TEXT)",), lambda: datetime.now(UTC), print)
for _ in range(50):
    database.write(lambda sql: sql.execute("INSERT INTO notes VALUES ('x')"), None)
database.close()
"""


def test_processes_share_one_file_from_its_first_moment(notes: Open) -> None:
    each = notes()
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(each.path)]) for _ in range(3)]
    assert [writer.wait(180) for writer in writers] == [0, 0, 0]
    assert len(each.all()) == 150


def test_migrations_go_on_where_an_older_version_ended(notes: Open) -> None:
    old = notes()
    old.add("kept")
    old.database.close()
    new = notes(
        migrations=(*NOTES, "ALTER TABLE notes ADD COLUMN size INTEGER DEFAULT 7; CREATE TABLE more (a)")
    )
    assert [tuple(row) for row in new.database.read("SELECT text, size FROM notes", ())] == [("kept", 7)]
    assert new.database.read("SELECT * FROM more", ()) == []


def test_a_file_of_a_newer_version_is_left_alone(notes: Open, caplog: pytest.LogCaptureFixture) -> None:
    new = notes(migrations=(*NOTES, "CREATE TABLE more (a)"))
    assert new.add("kept")
    old = notes()
    assert not old.add("lost")
    assert old.all() == []
    assert "newer version (schema 2)" in caplog.text
    assert old.aside == []
    assert new.all() == ["kept"]


def damage_header(path: Path) -> None:
    path.write_bytes(b"this is no database at all".ljust(4096, b"!"))


def damage_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("damage", [damage_header, damage_pages, cut])
@pytest.mark.parametrize("write_first", [True, False])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(
    notes: Open, damage: Callable[[Path], None], write_first: bool
) -> None:
    old = notes()
    for number in range(100):
        old.add(f"{number} {'x' * 100}")
    old.database.close()
    damage(old.path)
    damaged = old.path.read_bytes()

    new = notes()
    if write_first:
        assert new.add("anew")
    assert new.all() == (["anew"] if write_first else [])
    aside = old.path.with_name("notes.sqlite3.corrupt-20260501T120000Z")
    assert new.aside == [aside]
    assert aside.read_bytes() == damaged
    assert stat.S_IMODE(new.path.stat().st_mode) == 0o600
    assert notes().all() == new.all()


def test_two_that_find_the_same_damage_at_once_agree_on_one_new_file(
    notes: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = notes(), notes()
    first.add("old")
    first.database.close()
    damage_header(first.path)
    locked = files.locked

    def overtaken(path: Path, timeout: float) -> AbstractContextManager[None]:
        monkeypatch.setattr(files, "locked", locked)
        assert first.add("one")
        return locked(path, timeout)

    monkeypatch.setattr(files, "locked", overtaken)
    assert second.add("two")
    assert (len(first.aside), len(second.aside)) == (1, 0)
    assert first.all() == second.all() == ["one", "two"]


def test_a_file_that_somebody_removes_or_replaces_is_noticed(notes: Open, tmp_path: Path) -> None:
    each = notes()
    each.add("lost")
    for path in tmp_path.iterdir():
        path.unlink()
    assert each.add("anew")
    assert notes().all() == ["anew"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_disk_that_is_full_from_the_start_loses_history_and_nothing_else(
    notes: Open, mount: Callable[[int], Path], caplog: pytest.LogCaptureFixture
) -> None:
    disk = mount(64)
    (disk / "filler").write_bytes(bytes(60 * 1024))
    each = notes(disk / "notes.sqlite3")
    for _ in range(5):
        assert not each.add("lost")
        assert each.all() == []
    assert len(warnings(caplog)) == 1
    assert f"{each.path} cannot be used, history is not kept" in caplog.text
    assert each.aside == []
    each.database.close()


def test_a_disk_that_fills_up_is_logged_once_can_still_be_read_and_works_again_with_room(
    notes: Open, mount: Callable[[int], Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    disk = mount(1024)
    each = notes(disk / "notes.sqlite3")
    assert each.add("before")
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    while each.add("x" * 3000):
        pass
    assert not each.add("lost" * 1000)
    assert each.all()[0] == "before"
    assert not each.add("lost" * 1000)
    assert len(warnings(caplog)) == 1
    filler.unlink()
    assert each.add("after")
    assert each.all()[-1] == "after"
    assert "works again" in caplog.text
    assert each.aside == []
    each.database.close()


def test_a_read_only_disk_loses_history_and_nothing_else(
    notes: Open, mount: Callable[[int], Path], caplog: pytest.LogCaptureFixture
) -> None:
    disk = mount(1024)
    first = notes(disk / "notes.sqlite3")
    assert first.add("before")
    first.database.close()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], timeout=10, check=True)
    second = notes(disk / "notes.sqlite3")
    for _ in range(3):
        assert not second.add("lost")
        second.all()
    assert len(warnings(caplog)) == 1
    assert second.aside == []
    second.database.close()


def test_another_that_writes_for_long_is_waited_for_and_then_given_up_on(
    notes: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("reconciler.store.database.BUSY_TIMEOUT", 0.1)
    each = notes()
    each.add("before")
    other = sqlite3.connect(each.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        assert not each.add("lost")
        assert each.all() == ["before"]
        other.execute("COMMIT")
        assert each.add("after")
    finally:
        other.close()
    assert "database is locked" in caplog.text
