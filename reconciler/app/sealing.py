"""Encrypts settings files, edits them, and changes who can read them. Plaintext is in memory and in an editor.

Every file is read before one is written, so that a mistake in one of them changes none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.api.env_file import parse_settings
from reconciler.api.errors import PermanentError
from reconciler.api.text_file import check_size, decode, read_bytes
from reconciler.files import replace
from reconciler.sealed import SettingsFiles
from reconciler.sealed.age import encrypt, is_recipient
from reconciler.sealed.recipients import NAME, nearest, read_recipients
from reconciler.sealed.settings import AGE_SUFFIX, is_sealed
from reconciler.sealed.sops import is_sops
from reconciler.sealed.sops.document import read_document

__all__ = ["Reader", "edit_file", "encrypt_file", "readers", "rotate_files"]

READABLE: Final = 0o644
"""The mode of what all may read, as Git keeps it."""
SETTINGS_SUFFIXES: Final = (".env", f".env{AGE_SUFFIX}")


@dataclass(frozen=True, slots=True)
class Reader:
    """A recipient of a file; `is_here`: its key is one of ours."""

    file: Path
    recipient: str
    place: str
    is_here: bool


def encrypt_file(
    path: Path, named: Sequence[str], output: Path | None = None, *, force: bool = False
) -> Path:
    """Encrypt a plain file to the `named` recipients, or to those of its directory. Returns where that is.

    Raises ManifestError for a settings file with mistakes, and PermanentError.
    """
    target = output or path.with_name(f"{path.name}{AGE_SUFFIX}")
    content = read_bytes(path)
    check_size(content, path)
    if is_sealed(content):
        raise PermanentError(
            f"{path} is encrypted; to change who can read it, run: vaultctl secret rotate {path}"
        )
    if target.exists() and not force:
        raise PermanentError(
            f"{target} exists; to replace it, give --force, or change it: vaultctl secret edit {target}"
        )
    _check(content, path)
    _write(target, content, recipients_for(target.parent, named))
    return target


def edit_file(
    files: SettingsFiles, path: Path, named: Sequence[str], edit: Callable[[str, str], str]
) -> bool:
    """Have the plaintext of a file edited, and encrypt it again; whether it was changed. A new file is made.

    `edit` gets the text, and the problem of the last try or "". Raises ManifestError and PermanentError.
    """
    recipients = recipients_for(path.parent, named)
    before = _plaintext(files, path) if path.exists() else b""
    after = _edited(decode(before, path), edit, path)
    if after == before:
        return False
    _write(path, after, recipients)
    return True


def rotate_files(
    files: SettingsFiles, paths: Sequence[Path], add: Sequence[str] = (), remove: Sequence[str] = ()
) -> tuple[str, ...]:
    """Encrypt files anew to the recipients of their directories, of which some are added or removed first.

    Returns warnings. Raises ManifestError and PermanentError, before anything is written.
    """
    for recipient in add:
        _check_recipient(recipient)
    plain = {path: _plaintext(files, path) for path in paths}
    lists = {path: _list_of(path.parent) for path in paths}
    wanted: dict[Path, tuple[str, ...]] = {}
    for file in dict.fromkeys(lists.values()):
        former = [each.text for each in read_recipients(file)] if file.exists() else []
        if unknown := [each for each in remove if each not in former]:
            raise PermanentError(f"{file} has no recipient {unknown[0]}")
        wanted[file] = tuple(each for each in dict.fromkeys((*former, *add)) if each not in remove)
        if not wanted[file]:
            raise PermanentError(
                f"{file} has no recipients; add one: vaultctl secret rotate --add RECIPIENT FILE"
            )
    for file, recipients in wanted.items():
        if add or remove:
            _write_list(file, recipients, remove)
    for path, content in plain.items():
        _write(path, content, wanted[lists[path]])
    here = {key.recipient for key in files.keyring.load()}
    return tuple(
        f"{file}: no key of --age-keys can read these files any more"
        for file, recipients in wanted.items()
        if here.isdisjoint(recipients)
    )


def readers(files: SettingsFiles, paths: Sequence[Path]) -> list[Reader]:
    """Who can read these files: as a SOPS file says itself, and `.age-recipients` of others."""
    here = {key.recipient for key in files.keyring.load()} if files.keyring.paths else set()
    return [
        Reader(path, recipient, place, recipient in here)
        for path in paths
        for recipient, place in _named_readers(path)
    ]


def _named_readers(path: Path) -> Iterator[tuple[str, str]]:
    content = read_bytes(path)
    check_size(content, path)
    if is_sops(content):
        for recipient, _, line in read_document(decode(content, path), path).age:
            yield recipient, f"{path}:{line}"
    elif not is_sealed(content):
        raise _in_plain(path)
    else:
        for each in read_recipients(_list_of(path.parent, must_exist=True)):
            yield each.text, each.place


def recipients_for(directory: Path, named: Sequence[str]) -> tuple[str, ...]:
    """The `named` recipients, or those of a directory. Raises PermanentError if there are none."""
    for recipient in named:
        _check_recipient(recipient)
    if named:
        return tuple(dict.fromkeys(named))
    found = read_recipients(_list_of(directory, must_exist=True))
    if not found:
        raise _no_recipients(directory)
    return tuple(each.text for each in found)


def _list_of(directory: Path, *, must_exist: bool = False) -> Path:
    found = nearest(directory)
    if found is None and must_exist:
        raise _no_recipients(directory)
    return found or directory / NAME


def _no_recipients(directory: Path) -> PermanentError:
    return PermanentError(
        f"there are no recipients to encrypt to: write them to {directory / NAME}, a line for each "
        "(age-keygen -y KEYFILE prints that of a key), or give --recipient"
    )


def _check_recipient(text: str) -> None:
    # Not quoted: it may be a private key, by mistake.
    if not is_recipient(text):
        raise PermanentError("what was given is no age recipient; write one that starts with age1")


def _plaintext(files: SettingsFiles, path: Path) -> bytes:
    content = read_bytes(path)
    check_size(content, path)
    if is_sops(content):
        raise PermanentError(f"{path} is a SOPS file, which only sops writes; run: sops {path}")
    if not is_sealed(content):
        raise _in_plain(path)
    return files.plaintext(content, path)


def _in_plain(path: Path) -> PermanentError:
    return PermanentError(f"{path} is not encrypted; run: vaultctl secret encrypt {path}")


def _edited(text: str, edit: Callable[[str, str], str], path: Path) -> bytes:
    """What was edited, once it is without mistakes; `edit` raises when that is given up."""
    from reconciler.api.errors import ManifestError

    problem = ""
    while True:
        text = edit(text, problem)
        content = text.encode()
        try:
            check_size(content, path)
            _check(content, path)
        except ManifestError as error:
            problem = str(error)
        else:
            return content


def _check(content: bytes, path: Path) -> None:
    if path.name.endswith(SETTINGS_SUFFIXES):
        parse_settings(decode(content, path), path)


def _write(path: Path, content: bytes, recipients: Sequence[str]) -> None:
    replace(path, encrypt(content, recipients), mode=READABLE, durable=True)


def _write_list(path: Path, recipients: Sequence[str], removed: Sequence[str]) -> None:
    """Change the list of recipients; comments and the order of lines are kept."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.partition("#")[0].strip() not in removed]
    there = {line.partition("#")[0].strip() for line in kept}
    text = "".join(f"{line}\n" for line in (*kept, *(each for each in recipients if each not in there)))
    replace(path, text.encode(), mode=READABLE, durable=True)
