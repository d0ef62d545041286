"""What is sealed for one key: it says nothing to others, and what cannot be opened is no error."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from reconciler.sealed import box as module
from reconciler.sealed.box import Box, new_identity
from reconciler.sealed.errors import SealedError

SECRET = b"-----BEGIN PRIVATE KEY-----" * 20


def made(path: Path, text: str = "") -> Box:
    path.write_text(text or new_identity())
    path.chmod(0o400)
    return Box.of(path)


def test_only_its_key_opens_it(tmp_path: Path) -> None:
    mine, other = made(tmp_path / "mine"), made(tmp_path / "other")
    sealed = mine.seal(SECRET)
    assert sealed.startswith(b"age-encryption.org/v1\n")
    assert b"PRIVATE" not in sealed
    assert len(sealed) < len(SECRET), "it is compressed first"
    assert mine.open(sealed) == SECRET
    assert other.open(sealed) is None
    assert mine.seal(SECRET) != sealed, "whether two are the same is not told"


def test_a_key_that_takes_the_place_of_another_one_opens_what_that_sealed(tmp_path: Path) -> None:
    former, text = made(tmp_path / "former"), new_identity()
    both = made(tmp_path / "both", text + (tmp_path / "former").read_text())
    assert both.open(former.seal(SECRET)) == SECRET
    assert former.open(both.seal(SECRET)) is None


def test_what_is_damaged_or_too_long_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = made(tmp_path / "mine")
    sealed = box.seal(SECRET)
    for damaged in (b"", b"age", sealed[:-1], sealed[:-1] + b"x", os.urandom(400), zlib.compress(SECRET)):
        assert box.open(damaged) is None
    monkeypatch.setattr(module, "LONGEST", len(SECRET) - 1)
    assert box.open(sealed) is None


def test_a_file_that_holds_no_key_is_an_error_that_quotes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SealedError, match="mine:1") as error:
        made(tmp_path / "mine", "hunter2\n")
    assert "hunter2" not in str(error.value)
