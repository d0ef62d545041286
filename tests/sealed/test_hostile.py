"""Encrypted files that were made to do harm: everyone who may push can write one. Each is one clear error, soon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.errors import ManifestError
from reconciler.sealed import Keyring, SettingsFiles
from reconciler.sealed.age import MAX_STANZAS
from tests.sealed.refusals import SECRET, TEXT, refused
from tests.sealed.tools import AgeKey

Seal = Callable[..., Path]


def test_a_passphrase_is_never_tried(files: SettingsFiles, tmp_path: Path) -> None:
    """Its work factor, 2^40 here, is for its author to choose."""
    path = tmp_path / "files.env.age"
    path.write_bytes(
        b"age-encryption.org/v1\n-> scrypt bGCJ6oP2CLBMdWkVGHlQmg 40\n"
        b"IpJWEj0OUCwIAfN4wmSfTpXGQPQY2bLGfOu1c1gUQ0I\n--- abc\n" + bytes(100)
    )
    assert "is encrypted with a passphrase, which is not read" in refused(files, path)


def test_another_way_of_encryption_is_named(files: SettingsFiles, tmp_path: Path) -> None:
    path = tmp_path / "files.env.age"
    path.write_bytes(b"age-encryption.org/v1\n-> ssh-ed25519 abcd xyz\nAAAA\n--- abc\n" + bytes(100))
    assert f"{path}:2:1: is encrypted to an SSH key, which is not read" in refused(files, path)
    path.write_bytes(b"age-encryption.org/v1\n-> wonderful abcd xyz\nAAAA\n--- abc\n" + bytes(100))
    assert "is encrypted in the way 'wonderful'" in refused(files, path)


def test_too_many_recipients(files: SettingsFiles, tmp_path: Path) -> None:
    path = tmp_path / "files.env.age"
    stanza = b"-> X25519 " + b"A" * 43 + b"\n" + b"A" * 43 + b"\n"
    path.write_bytes(b"age-encryption.org/v1\n" + stanza * (MAX_STANZAS + 1) + b"--- abc\n")
    assert f"has more than {MAX_STANZAS} recipients" in refused(files, path)


def test_a_huge_file(files: SettingsFiles, key: AgeKey, seal: Seal) -> None:
    path = seal("A=" + "x" * 2**20, key)
    with pytest.raises(ManifestError, match="is larger than 1024 KiB"):
        files.read(path)


@pytest.mark.parametrize("armor", [False, True])
@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file(files: SettingsFiles, key: AgeKey, seal: Seal, armor: bool, keep: float) -> None:
    path = seal(TEXT * 20, key, armor=armor)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert "is truncated, or was changed after it was encrypted" in refused(files, path)


@pytest.mark.parametrize("content", [b"age-encryption.org/v1\n", b"age-encryption.org/v1\n--- x\n"])
def test_a_header_without_recipients(files: SettingsFiles, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "files.env.age"
    path.write_bytes(content)
    assert "is truncated, or was changed" in refused(files, path)


@pytest.mark.parametrize("armor", [False, True])
def test_no_change_of_a_byte_is_read(files: SettingsFiles, key: AgeKey, seal: Seal, armor: bool) -> None:
    """Nor is any of them an error of another kind."""
    path = seal(TEXT, key, armor=armor)
    content = path.read_bytes()
    read, said = [], []
    for place in range(0, len(content) - (2 if armor else 0), 3):
        changed = bytearray(content)
        changed[place] ^= 0x11
        path.write_bytes(changed)
        try:
            read.append(files.read(path).values)
        except ManifestError as error:
            said.append(str(error))
    assert not [each for each in said if SECRET in each]
    assert not [each for each in read if each != {"DB_PASSWORD": SECRET, "TOKEN": "a # b"}]
    assert armor or not read


@given(st.binary(max_size=300))
def test_any_content_is_settings_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.age"
    for start in (b"", b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----\n"):
        path.write_bytes(start + content)
        with pytest.raises(ManifestError):
            SettingsFiles(Keyring([])).read(path)
