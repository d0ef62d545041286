"""Where the files of spec.secrets are: in memory, below a directory that no other user passes through."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.core.desired.stack import Stack
from reconciler.sealed.runtime import RuntimeFiles, is_in_memory
from tests.simulation.services import Wish, build_stack


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory that is not there yet, on a tmpfs."""
    parent = Path(tempfile.mkdtemp(prefix="vr-", dir="/dev/shm"))
    yield parent / "runtime"
    shutil.rmtree(parent)


@pytest.fixture
def files(memory: Path, tmp_path: Path) -> RuntimeFiles:
    return RuntimeFiles(memory, tmp_path / "state")


def stack(files: RuntimeFiles, **contents: dict[str, bytes]) -> Stack:
    made = build_stack(Wish(plugin="web").service())
    own = files.directory(made.name)
    return replace(made, secret_files={f"{own}/{name}": each for name, each in contents.items()})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_they_are_readable_behind_a_door_that_is_not(files: RuntimeFiles, memory: Path) -> None:
    wanted = stack(files, one={"token": b"x", "b": b"\x00"})
    files.provide(wanted)
    (directory,) = map(Path, wanted.secret_files)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == {"token": b"x", "b": b"\x00"}
    assert [mode(directory / "token"), mode(directory)] == [0o444, 0o755]
    assert [mode(memory), mode(directory.parents[1])] == [0o700, 0o700]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_cannot_read_them(files: RuntimeFiles) -> None:
    wanted = stack(files, one={"token": b"x"})
    files.provide(wanted)
    (directory,) = map(Path, wanted.secret_files)
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            (directory / "token").read_bytes()
        except PermissionError:
            os._exit(13)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 13


def test_a_directory_that_is_mounted_stays_the_same_one(files: RuntimeFiles) -> None:
    wanted = stack(files, one={"token": b"x", "other": b"y"})
    files.provide(wanted)
    (directory,) = map(Path, wanted.secret_files)
    before = directory.stat().st_ino
    (directory / "token").unlink()
    (directory / "other").chmod(0o644)
    (directory / "other").write_bytes(b"changed")
    files.provide(wanted)
    assert directory.stat().st_ino == before
    assert [(directory / name).read_bytes() for name in ("token", "other")] == [b"x", b"y"]


def test_what_no_container_mounts_any_more_goes(files: RuntimeFiles) -> None:
    first, second = stack(files, one={"token": b"x"}), stack(files, two={"token": b"y"})
    files.provide(first)
    files.provide(second)
    own = files.directory(second.name)
    (own / ".new-left").mkdir()
    assert len(list(own.iterdir())) == 3, "containers of the former revision still mount theirs"
    files.tidy(second)
    assert [path.name for path in own.iterdir()] == ["two"]
    files.tidy(stack(files))
    assert not own.exists()
    files.tidy(stack(files))
    files.provide(first)
    files.forget(first.name)
    files.forget(first.name)
    assert not own.exists()


def test_without_secrets_nothing_is_made(files: RuntimeFiles, memory: Path) -> None:
    files.provide(stack(files))
    assert not memory.exists()


def test_two_state_directories_do_not_share(memory: Path, tmp_path: Path) -> None:
    one, other = (RuntimeFiles(memory, tmp_path / name).directory("web") for name in ("a", "b"))
    assert one != other


def test_a_disk_is_no_place_for_them(tmp_path: Path) -> None:
    files = RuntimeFiles(tmp_path / "runtime", tmp_path)
    if is_in_memory(tmp_path):
        pytest.skip("temporary files are in memory here")
    with pytest.raises(PermanentError, match="is on a disk, where secrets must not be"):
        files.provide(stack(files, one={"token": b"x"}))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_nor_is_a_directory_of_others(files: RuntimeFiles, memory: Path, tmp_path: Path) -> None:
    wanted = stack(files, one={"token": b"x"})
    memory.mkdir(mode=0o755)
    with pytest.raises(PermanentError, match=f"run: chmod 700 {memory}"):
        files.provide(wanted)
    memory.rmdir()
    memory.symlink_to(tmp_path)
    with pytest.raises(PermanentError, match="is not this user's directory"):
        files.provide(wanted)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_nor_one_that_another_user_has_made_first(files: RuntimeFiles, memory: Path) -> None:
    memory.mkdir(mode=0o700)
    os.chown(memory, 12345, 12345)
    with pytest.raises(PermanentError, match="is not this user's directory"):
        files.provide(stack(files, one={"token": b"x"}))


def test_a_place_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    files = RuntimeFiles(tmp_path / "absent" / "runtime", tmp_path)
    with pytest.raises(TemporaryError, match="cannot be written: No such file"):
        files.provide(stack(files, one={"token": b"x"}))


@pytest.mark.parametrize(("kind", "expected"), [("tmpfs", True), ("ramfs", True), ("ext4", False)])
def test_the_kernel_says_what_is_in_memory(tmp_path: Path, kind: str, expected: bool) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"1 0 0:99 / /a rw - tmpfs tmpfs rw\n2 0 {os.major(device)}:{os.minor(device)} / /b rw shared:1 - {kind} x rw\n"
    )
    assert is_in_memory(tmp_path, mounts) is expected
    mounts.write_text("")
    assert is_in_memory(tmp_path, mounts) is False
