"""Records on the disk: durable, private, and never guessed at."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from reconciler.api import PermanentError, TemporaryError
from reconciler.core.adoption.record import Adoption, Stage
from reconciler.store.adoptions import AdoptionStore

RECORD = Adoption("files", "shop", volumes=frozenset({"shop_data"}))


def test_a_record_is_kept(tmp_path: Path) -> None:
    store = AdoptionStore(tmp_path)
    assert (store.names(), store.get("files")) == ((), None)
    store.put(RECORD)
    store.put(Adoption("files", "shop", stage=Stage.STORED))
    assert AdoptionStore(tmp_path).get("files") == Adoption("files", "shop", stage=Stage.STORED)
    assert store.names() == ("files",)
    assert stat.S_IMODE((tmp_path / "adoptions" / "files.json").stat().st_mode) == 0o600
    store.remove("files")
    store.remove("files")
    assert (store.names(), store.get("files")) == ((), None)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1", b'{"version": 9}'])
def test_a_damaged_record_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    store = AdoptionStore(tmp_path)
    store.put(RECORD)
    (tmp_path / "adoptions" / "files.json").write_bytes(content)
    with pytest.raises(PermanentError, match=r"files\.json cannot be read: .*; restore it from a backup"):
        store.get("files")


def test_one_process_takes_steps(tmp_path: Path) -> None:
    store = AdoptionStore(tmp_path)
    with store.locked("files"):
        assert store.names() == ()
        with store.locked("others"):
            pass
        with pytest.raises(TemporaryError, match="another process holds it"), store.locked("files"):
            pass
