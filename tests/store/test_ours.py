"""Whose a directory is, on real ones."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.api import Metadata, PermanentError, Spec, VaultService
from reconciler.store.base import Origin
from reconciler.store.history import HistoryStore
from reconciler.store.objects import ObjectStore
from reconciler.store.ours import foreign, require_ours
from reconciler.wiring import Options, wire

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
SERVICE = VaultService(metadata=Metadata(name="files"), spec=Spec(plugin="whoami"))


@pytest.mark.parametrize("mode", [0o700, 0o711, 0o755, 0o1755, 0o2755])
def test_a_directory_that_only_we_can_write_is_ours(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    assert foreign(tmp_path) is None


@pytest.mark.parametrize(
    ("mode", "who"),
    [
        (0o775, "group {gid} can"),
        (0o720, "group {gid} can"),
        (0o702, "every user of this machine can"),
        (0o777, "group {gid} and every user of this machine can"),
        # Others cannot replace what is in it, and can have put there what we did not have yet.
        (0o1777, "group {gid} and every user of this machine can"),
    ],
)
def test_one_that_others_can_write_is_not(tmp_path: Path, mode: int, who: str) -> None:
    tmp_path.chmod(mode)
    text = who.format(gid=tmp_path.stat().st_gid)
    with pytest.raises(
        PermanentError, match=f"^{re.escape(text)} write into {tmp_path}, .*chmod go-w {tmp_path}"
    ):
        require_ours(tmp_path)


@as_root
def test_one_of_another_user_is_not_whatever_its_mode(tmp_path: Path) -> None:
    os.chown(tmp_path, 4242, 0)
    tmp_path.chmod(0o700)
    with pytest.raises(PermanentError, match=f"^{tmp_path} belongs to user 4242, .*chown -R 0 {tmp_path}"):
        require_ours(tmp_path)
    os.chown(tmp_path, 65534, 0)
    assert "user nobody (65534)" in str(foreign(tmp_path))


@as_root
def test_who_is_not_root_may_use_what_is_roots(tmp_path: Path) -> None:
    """In a container or a user namespace the owner of a mounted directory often appears as root."""
    tmp_path.chmod(0o755)
    os.seteuid(4242)
    try:
        assert foreign(tmp_path) is None
    finally:
        os.seteuid(0)


def test_what_is_not_there_will_be_ours(tmp_path: Path) -> None:
    require_ours(tmp_path / "not" / "yet")


@pytest.mark.parametrize("inner", ["", "services"])
def test_nothing_is_changed_in_a_state_directory_of_others_and_its_mode_stays(
    tmp_path: Path, inner: str
) -> None:
    state = tmp_path / "state"
    (state / "services").mkdir(parents=True)
    (state / inner).chmod(0o777)
    application = wire(Options(state))
    history = HistoryStore(state / "history.sqlite3")
    history.record_event("files", "Normal", "Tried", "", NOW)
    history.close()
    for change in (
        lambda: ObjectStore(state).apply(SERVICE, Origin("apply", "", tmp_path / "files.yaml", 1)),
        application.world,
        application.controller,
    ):
        with pytest.raises(PermanentError, match="chmod go-w"):
            change()
    assert (state / inner).stat().st_mode & 0o777 == 0o777, "not mended before it was judged"
    assert not (state / "revision.key").exists()
