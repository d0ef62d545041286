"""The key of revisions: created once, private, the same for all processes, and never replaced silently."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.api import PermanentError
from reconciler.store.revision_key import BYTES, NAME, ensure_key, read_key


def test_it_is_made_once_and_private(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert read_key(state) == b""
    key = ensure_key(state)
    assert len(key) == BYTES
    assert ensure_key(state) == read_key(state) == key
    assert (state / NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in state.iterdir()] == [NAME]
    assert ensure_key(tmp_path / "other") != key


def test_all_who_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(ensure_key, [tmp_path] * 32))
    assert len(keys) == 1


@pytest.mark.parametrize("content", ["", "00", "x" * 64, "00" * 33, "\u00fc"])
def test_a_damaged_key_is_not_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(content, encoding="utf-8")
    for ask in (read_key, ensure_key):
        with pytest.raises(PermanentError, match=f"{NAME} is not a revision key: restore it"):
            ask(tmp_path)
