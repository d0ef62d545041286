from __future__ import annotations

import fcntl
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.api import TemporaryError
from reconciler.store import files

PATIENCE = 60.0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_written_file_is_private_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write(path, b"one", durable=True)
    files.write(path, b"two", durable=False)
    assert path.read_bytes() == b"two"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_there_reads_as_none(tmp_path: Path) -> None:
    assert files.read(tmp_path / "nowhere" / "a.json") is None


@pytest.mark.parametrize("existing", [0o700, 0o755, None])
def test_other_users_can_pass_through_but_nothing_is_taken_from_the_owner(
    tmp_path: Path, existing: int | None
) -> None:
    directory = tmp_path / "state" / "services"
    if existing is not None:
        directory.mkdir(parents=True)
        directory.chmod(existing)
    files.make_traversable(directory)
    assert mode(directory) == (existing or 0) | 0o711


def test_a_full_disk_is_a_temporary_error_that_names_the_file_and_the_old_content_stays(
    mount: Callable[[int], Path],
) -> None:
    path = mount(64) / "a.json"
    files.write(path, b"old", durable=True)
    with pytest.raises(TemporaryError, match=f"cannot write {path}: No space left on device"):
        files.write(path, bytes(100_000), durable=True)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_read_only_disk_is_a_temporary_error_that_names_the_file(mount: Callable[[int], Path]) -> None:
    path = mount(64) / "a.json"
    files.write(path, b"old", durable=True)
    subprocess.run(["mount", "-o", "remount,ro", str(path.parent)], timeout=10, check=True)
    with pytest.raises(TemporaryError, match=f"cannot write {path}: Read-only file system"):
        files.write(path, b"new", durable=True)
    with pytest.raises(TemporaryError, match=f"cannot remove {path}: Read-only file system"):
        files.remove(path)


WRITER = """
import sys
from pathlib import Path
from reconciler.store import files

PATIENCE = 60.0
path = Path(sys.argv[1])
print("ready", flush=True)
while True:
    for letter in (b"a", b"b"):
        files.write(path, letter * 200_000, durable=False)
"""


def test_kill_at_any_moment_leaves_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    delays = random.Random(7)
    for _ in range(8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        with writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(delays.uniform(0.005, 0.05))
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == 200_000
        assert len(set(content)) == 1


def test_removing_does_not_follow_links_and_may_be_repeated(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "link").symlink_to(outside)
    link = tmp_path / "link"
    link.symlink_to(outside)
    for path in (tree, tree, link, link):
        files.remove(path)
    assert not tree.exists()
    assert (outside / "precious").exists()


def test_a_lock_that_is_held_is_given_up_on_after_the_timeout(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with files.locked(path, 1.0):
        started = time.monotonic()
        with (
            pytest.raises(TemporaryError, match=f"cannot lock {path}: another process holds it"),
            files.locked(path, 0.1),
        ):
            pytest.fail("locked twice")
        assert time.monotonic() - started >= 0.1
    with files.locked(path, 0.1):
        assert mode(path) == 0o600


def test_who_waited_for_a_lock_that_was_removed_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "service" / "lock"
    entered, leave = threading.Event(), threading.Event()

    def wait_for_it() -> None:
        with files.locked(path, PATIENCE):
            entered.set()
            leave.wait(PATIENCE)

    waiting = threading.Thread(target=wait_for_it)
    with files.locked(path, 1.0):
        waiting.start()
        assert not entered.wait(0.05)
        files.remove(path.parent)
    assert entered.wait(PATIENCE)
    # The waiter holds the lock of the file that is there now, not that of the one which was removed.
    with path.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    leave.set()
    waiting.join(PATIENCE)


def test_a_lock_file_that_goes_between_opening_and_locking_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    flock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with files.locked(path, 1.0), path.open() as file, pytest.raises(BlockingIOError):
        flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
