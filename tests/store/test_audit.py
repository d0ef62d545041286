"""The audit log is appended to, has a bound, and loses nothing that was done to a flood of what was refused."""

from __future__ import annotations

import errno
import json
import os
import resource
import threading
from pathlib import Path
from typing import Any

import pytest

from reconciler.api import TemporaryError
from reconciler.store.audit import FILE, REFUSED, REFUSED_FILE, Audit


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_threads_append_whole_lines_that_only_their_owner_reads(tmp_path: Path) -> None:
    audit = Audit(tmp_path)

    def write(user: int) -> None:
        for number in range(100):
            audit.write({"user": user, "number": number, "stage": "done"})

    threads = [threading.Thread(target=write, args=[user]) for user in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    found = read(tmp_path / FILE)
    assert [each["number"] for each in found if each["user"] == 2] == list(range(100))
    assert len(found) == 400
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_it_has_a_bound_and_keeps_the_last_records(tmp_path: Path) -> None:
    audit = Audit(tmp_path, most=1000)
    for number in range(200):
        audit.write({"number": number, "stage": "done"})
    paths = (tmp_path / f"{FILE}.1", tmp_path / FILE)
    assert all(each.stat().st_size <= 1000 for each in paths)
    numbers = [each["number"] for path in paths for each in read(path)]
    assert numbers == list(range(200 - len(numbers), 200))
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_what_was_refused_pushes_out_nothing_that_was_done(tmp_path: Path) -> None:
    audit = Audit(tmp_path, most=1000)
    audit.write({"user": "anna", "stage": "asked"})
    audit.write({"user": "anna", "stage": "done"})
    for number in range(500):
        audit.write({"user": "eve", "number": number, "stage": REFUSED})
    assert [each["user"] for each in read(tmp_path / FILE)] == ["anna", "anna"]
    assert read(tmp_path / REFUSED_FILE)[-1]["number"] == 499


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(TemporaryError, match=FILE):
        Audit(tmp_path).write({"stage": "asked"})


def test_of_a_line_that_does_not_fit_on_the_disk_nothing_is_kept(tmp_path: Path) -> None:
    audit = Audit(tmp_path)
    audit.write({"number": 1, "stage": "done"})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / FILE).stat().st_size + 10, before[1]))
    try:
        with pytest.raises(TemporaryError, match=FILE):
            audit.write({"number": 2, "stage": "done"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    audit.write({"number": 3, "stage": "done"})
    assert [each["number"] for each in read(tmp_path / FILE)] == [1, 3]


def test_a_new_file_that_cannot_be_opened_closes_no_descriptor_of_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, opened = Audit(tmp_path, most=100), os.open
    audit.write({"text": "x" * 50, "stage": "done"})

    def full(path: Path, *arguments: int) -> int:
        if not path.exists():
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(TemporaryError, match=os.strerror(errno.EMFILE)):
        audit.write({"text": "x" * 50, "stage": "done"})
