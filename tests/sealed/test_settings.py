"""Settings files as the real `age` command makes them, and what others make of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.api.errors import ManifestError
from reconciler.sealed import SealedError, Settings, SettingsFiles, readable_by_others
from reconciler.sealed.age import NO_KEY
from reconciler.sealed.recipients import NAME
from tests.sealed.refusals import SECRET, TEXT, refused
from tests.sealed.sops_writer import Sops
from tests.sealed.tools import AgeKey, age

Seal = Callable[..., Path]


@pytest.mark.parametrize("armor", [False, True])
def test_a_file_of_the_real_command_is_read(
    files: SettingsFiles, key: AgeKey, other: AgeKey, seal: Seal, armor: bool
) -> None:
    settings = files.read(seal(TEXT, other, key, armor=armor))
    assert settings.values == {"DB_PASSWORD": SECRET, "TOKEN": "a # b"}
    assert settings.sealed
    assert SECRET not in repr(settings)


def test_its_content_says_what_it_is_and_not_its_name(files: SettingsFiles, key: AgeKey, seal: Seal) -> None:
    assert files.read(seal(TEXT, key, name="files.env")).sealed


def test_a_plain_file_is_read_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "files.env"
    path.write_text(TEXT)
    assert SettingsFiles().read(path) == Settings({"DB_PASSWORD": SECRET, "TOKEN": "a # b"}, sealed=False)


def test_a_plain_file_that_claims_to_be_encrypted_is_refused(files: SettingsFiles, tmp_path: Path) -> None:
    path = tmp_path / "files.env.age"
    path.write_text(TEXT)
    assert refused(files, path).startswith(f"{path}:1:1: is not encrypted, though its name says so")


def test_mistakes_inside_have_the_lines_of_the_plaintext(
    files: SettingsFiles, key: AgeKey, seal: Seal
) -> None:
    path = seal(f"A=1\n\n{SECRET}\nB= {SECRET}\n", key)
    with pytest.raises(ManifestError) as error:
        files.read(path)
    assert [problem.place for problem in error.value.problems] == [f"{path}:3:1", f"{path}:4:1"]
    assert SECRET not in str(error.value)


def test_what_is_encrypted_may_be_no_text(files: SettingsFiles, key: AgeKey, seal: Seal) -> None:
    with pytest.raises(ManifestError, match="is not UTF-8"):
        files.read(seal(b"A=\xff\n", key))


def test_without_a_key_it_says_so(key: AgeKey, seal: Seal) -> None:
    path = seal(TEXT, key)
    said = refused(SettingsFiles(), path)
    assert said == (
        f"{path}:2:1: is encrypted, and vaultctl has no key; "
        "name the file of one with --age-keys (VAULT_AGE_KEYS)"
    )


def test_with_other_keys_it_names_them(files: SettingsFiles, key: AgeKey, other: AgeKey, seal: Seal) -> None:
    path = seal(TEXT, other)
    said = refused(files, path)
    assert said.startswith(f"{path}:2:1: is encrypted to 1 recipient, of which no key is here; ")
    assert f"the keys here are {key.recipient} ({key.path}:3)" in said


def test_the_missing_recipient_is_named_where_it_is_written_down(
    files: SettingsFiles, key: AgeKey, other: AgeKey, seal: Seal
) -> None:
    path = seal(TEXT, other)
    # Above it, as in a checkout.
    recipients = path.parent.parent / NAME
    recipients.write_text(f"# the team\n{key.recipient}\n{other.recipient} # backup\n")
    said = refused(files, path)
    assert f"the key of {other.recipient} ({recipients}:3) is missing" in said
    assert f"the key of {key.recipient}" not in said


def test_a_broken_list_of_recipients_is_no_second_problem(
    files: SettingsFiles, other: AgeKey, seal: Seal
) -> None:
    path = seal(TEXT, other)
    (path.parent / NAME).write_text("nonsense\n")
    assert "no key is here; the keys" in refused(files, path)


def test_keys_that_cannot_be_used_are_named(files: SettingsFiles, key: AgeKey, seal: Seal) -> None:
    path = seal(TEXT, key)
    key.path.chmod(0o644)
    assert refused(files, path).startswith(f"{key.path}: holds keys that other users may read")


def test_what_was_read_last_is_remembered(
    files: SettingsFiles, key: AgeKey, other: AgeKey, seal: Seal
) -> None:
    good = files.read(seal(TEXT, key))
    path = seal("DB_PASSWORD=next\n", other)
    assert files.read(path, last=True) == good
    refused(files, path)
    path.unlink()
    assert files.read(path, last=True) == good
    seal("DB_PASSWORD=next\n", key)
    assert files.read(path, last=True).values == {"DB_PASSWORD": "next"}


def test_a_process_that_never_read_it_remembers_nothing(key: AgeKey, seal: Seal) -> None:
    with pytest.raises(SealedError):
        SettingsFiles().read(seal(TEXT, key), last=True)


def test_an_encrypted_file_may_be_read_by_all(key: AgeKey, seal: Seal) -> None:
    path = seal(TEXT, key)
    path.chmod(0o644)
    assert readable_by_others(path) is None
    path.write_text(TEXT)
    warning = readable_by_others(path)
    assert warning is not None
    assert warning.fix == f"chmod 600 {path}"


def test_the_library_says_so_if_no_key_fits() -> None:
    """All other errors count as damage."""
    import pyrage

    one, two = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    with pytest.raises(pyrage.DecryptError) as error:
        pyrage.decrypt(pyrage.encrypt(b"x", [one.to_public()]), [two])
    assert str(error.value) == NO_KEY


def test_the_real_command_reads_what_is_encrypted_here(key: AgeKey) -> None:
    from reconciler.sealed.age import encrypt

    sealed = encrypt(TEXT.encode(), [key.recipient])
    assert age("--decrypt", "-i", key.path, content=sealed).decode() == TEXT


@pytest.mark.parametrize("content", [b"\x00\xff any bytes", b"", b"A=1\n"])
def test_a_whole_file_is_a_secret_of_any_content(
    files: SettingsFiles, key: AgeKey, seal: Seal, tmp_path: Path, content: bytes
) -> None:
    assert files.secret(seal(content, key, name="blob.age"), None) == content
    plain = tmp_path / "plain"
    plain.write_bytes(content)
    assert files.secret(plain, None) == content


def test_one_setting_is_a_secret(files: SettingsFiles, key: AgeKey, seal: Seal) -> None:
    path = seal(TEXT, key)
    assert files.secret(path, "TOKEN") == b"a # b"
    with pytest.raises(ManifestError) as error:
        files.secret(path, "TOKE")
    assert str(error.value) == f"{path}: has no setting TOKE; add it, or name another key"


def test_a_sops_file_is_a_secret(files: SettingsFiles, key: AgeKey, tmp_path: Path) -> None:
    path = tmp_path / "blob.json"
    path.write_text(Sops([key]).json({"data": "line\nline\n"}))
    assert files.secret(path, None) == b"line\nline\n"
    path.write_text(Sops([key]).json({"A": SECRET, "B": "2"}))
    assert files.secret(path, "B") == b"2"
    with pytest.raises(ManifestError, match="has several values; name one of them by key"):
        files.secret(path, None)


def test_a_secret_that_was_read_last_is_remembered(
    files: SettingsFiles, key: AgeKey, other: AgeKey, seal: Seal
) -> None:
    files.secret(seal("one", key), None)
    path = seal("two", other)
    assert files.secret(path, None, last=True) == b"one"
    with pytest.raises(ManifestError):
        files.secret(path, None)
    with pytest.raises(ManifestError):
        files.secret(path, "A", last=True)
    path.write_bytes(b"plain")
    with pytest.raises(ManifestError, match="is not encrypted, though its name says so"):
        files.secret(path, None)
