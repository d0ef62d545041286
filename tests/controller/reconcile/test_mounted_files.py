"""Digests of mounted files: bounded, kept while nothing changes, and never in the way."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from reconciler.controller.reconcile.mounted_files import MountedFiles


def test_a_digest_is_of_the_content_and_changes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one")
    first = MountedFiles().digest(str(path))
    assert first == hashlib.sha256(b"one").hexdigest()[:12]
    path.write_bytes(b"three")
    assert MountedFiles().digest(str(path)) != first


def test_a_file_that_can_be_read_again_has_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its content is that of before, and so are time, size and inode."""
    path = tmp_path / "f"
    path.write_bytes(b"one")

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert MountedFiles().digest(str(path)) is None
    assert MountedFiles().digest(str(path)) == hashlib.sha256(b"one").hexdigest()[:12]


def test_what_is_no_file_has_none_and_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    files = MountedFiles()
    assert [files.digest(str(tmp_path / name)) for name in ("", "pipe", "none")] == [None] * 3
    assert files.digest("a\0b") is None
    assert files.warnings == ()


def test_a_file_beyond_the_limit_is_not_read_and_named_once(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(2**40)
    files = MountedFiles()
    assert files.digest(str(path)) is files.digest(str(path)) is None
    (warning,) = files.warnings
    assert repr(str(path)) in warning
    assert "128 MiB a file" in warning


def test_many_files_together_have_a_limit_and_one_that_is_used_twice_counts_once(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(bytes(10))
    files = MountedFiles(max_file=10, max_total=25)
    found = [files.digest(str(path)) for path in (paths[0], *paths)]
    assert [digest is None for digest in found] == [False, False, False, True]
    assert files.skipped == [str(paths[2])]
