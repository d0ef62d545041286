"""Files are replaced whole and private, and a lock has one holder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from reconciler import files


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_replaced_whole_with_its_mode(
    mode: int, durable: bool, alone: bool, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"two"):
        files.replace(path, content, mode=mode, durable=durable, alone=alone)
        assert (path.read_bytes(), _mode(path), list(tmp_path.iterdir())) == (content, mode, [path])


@pytest.mark.parametrize("alone", [False, True])
def test_what_fails_leaves_the_old_file_alone(
    alone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    files.replace(path, b"old")
    monkeypatch.setattr(os, "fchmod", _refuse)
    with pytest.raises(OSError, match="no"):
        files.replace(path, b"new", alone=alone)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


def _refuse(*_: object) -> None:
    raise OSError("no")


def test_what_a_killed_process_left_is_taken_over_and_no_link_is_followed(tmp_path: Path) -> None:
    precious, path = tmp_path / "precious", tmp_path / "file"
    precious.write_bytes(b"precious")
    (tmp_path / ".file.new").symlink_to(precious)
    files.replace(path, b"new", alone=True)
    assert (path.read_bytes(), precious.read_bytes()) == (b"new", b"precious")
    assert sorted(tmp_path.iterdir()) == [path, precious]


def test_a_lock_has_one_holder_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = files.try_lock(path)
    assert held is not None
    assert files.try_lock(path) is None
    assert _mode(path) == 0o600
    os.close(held)
    again = files.try_lock(path)
    assert again is not None
    os.close(again)
