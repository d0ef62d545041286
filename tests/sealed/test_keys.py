"""Which files of keys are used, and what is said of the others: never what they hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.sealed import Keyring, SealedError
from reconciler.sealed.keys import MAX_BYTES, MAX_KEYS
from tests.sealed.tools import AgeKey, keygen

PRIVATE = "AGE-SECRET-KEY-1"


def problem(keyring: Keyring) -> str:
    with pytest.raises(SealedError) as error:
        keyring.load()
    assert PRIVATE + "Q" not in str(error.value)
    return str(error.value)


def test_a_key_is_known_by_its_public_half(key: AgeKey) -> None:
    (found,) = Keyring([key.path]).load()
    assert (found.recipient, found.path) == (key.recipient, key.path)
    assert found.line == 3, "age-keygen writes two comments first"
    assert PRIVATE not in repr(found)


def test_a_directory_has_all_its_files_and_a_key_counts_once(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    directory.mkdir()
    first, second = keygen(directory / "a.txt"), keygen(directory / "b.key")
    (directory / ".hidden").write_text("nothing")
    (directory / "below").mkdir()
    (directory / "copy.txt").write_text(first.path.read_text())
    (directory / "copy.txt").chmod(0o600)
    assert [each.recipient for each in Keyring([directory]).load()] == [first.recipient, second.recipient]


def test_a_new_key_needs_no_restart_and_a_removed_one_is_gone(tmp_path: Path) -> None:
    keyring = Keyring([tmp_path])
    first = keygen(tmp_path / "a.txt")
    assert len(keyring.load()) == 1
    second = keygen(tmp_path / "b.txt")
    assert len(keyring.load()) == 2
    first.path.unlink()
    assert [each.recipient for each in keyring.load()] == [second.recipient]
    second.path.chmod(0o640)
    assert "other users may read" in problem(keyring)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o610, 0o601])
def test_a_key_that_others_may_touch_is_refused(key: AgeKey, mode: int) -> None:
    key.path.chmod(mode)
    assert problem(Keyring([key.path])) == (
        f"{key.path}: holds keys that other users may read; run: chmod 600 {key.path}"
    )


def test_so_is_one_behind_a_link(key: AgeKey, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(key.path)
    assert len(Keyring([link]).load()) == 1
    key.path.chmod(0o644)
    assert "other users may read" in problem(Keyring([link]))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_one_of_another_user_is_refused(key: AgeKey) -> None:
    os.chown(key.path, 12345, 12345)
    assert "belongs to another user" in problem(Keyring([key.path]))


def test_a_directory_in_which_others_can_put_keys_is_refused(tmp_path: Path) -> None:
    keygen(tmp_path / "a.txt")
    tmp_path.chmod(0o777)
    assert f"run: chmod go-w {tmp_path}" in problem(Keyring([tmp_path]))


def pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def text(content: str | bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o600)

    return write


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (pipe, "is not a regular file"),
        (text(""), "holds no age key; write one with: age-keygen -o"),
        (text("# only a comment\n"), "holds no age key"),
        (text("\n\nhunter22-my-password\n"), ":3:1: is no age key; keep only lines that start with"),
        (text("-----BEGIN OPENSSH PRIVATE KEY-----\n"), ":1:1: is no age key"),
        (text("AGE-PLUGIN-YUBIKEY-1QQQQ\n"), "is an age key of a kind that is not read"),
        (text("AGE-SECRET-KEY-PQ-1QQQQ\n"), "is an age key of a kind that is not read"),
        (text(f"#\n{PRIVATE}{'Q' * 58}\n"), ":2:1: is a damaged age key"),
        (text(b"\xff\xfe\x00" * 100), "is no age key"),
        (text("#" * (MAX_BYTES + 1)), "is larger than 64 KiB"),
    ],
)
def test_what_is_no_file_of_keys(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "x.txt"
    make(path)
    said = problem(Keyring([path]))
    assert said.startswith(str(path))
    assert message in said
    assert "hunter22" not in said


def test_every_bad_file_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        text("nothing\n")(tmp_path / name)
    assert problem(Keyring([tmp_path])).count("is no age key") == 2


def test_there_is_a_limit(tmp_path: Path) -> None:
    from pyrage import x25519

    lines = "".join(f"{x25519.Identity.generate()}\n" for _ in range(MAX_KEYS + 1))
    text(lines)(tmp_path / "many")
    assert f"more than {MAX_KEYS} keys" in problem(Keyring([tmp_path]))
