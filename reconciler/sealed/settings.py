"""Reads the files that `envFrom` names, plain or encrypted, and remembers in memory what they held.

What a file is, its content says: one that was encrypted by mistake in another way, or not at all, is noticed. What was read
last lets a service go on, with healing and scaling, while a file cannot be read.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from reconciler.api.env_file import PermissionWarning, parse_settings, permission_warning
from reconciler.api.errors import ManifestError, Problem
from reconciler.api.text_file import check_size, decode, read_bytes
from reconciler.sealed import age, sops
from reconciler.sealed.errors import sealed_error
from reconciler.sealed.keys import Key, Keyring
from reconciler.sealed.recipients import missing

__all__ = ["Settings", "SettingsFiles", "is_sealed", "readable_by_others"]

REMEMBERED: Final = 1000
"""Files whose last settings are kept."""

AGE_SUFFIX: Final = ".age"
SOPS_BINARY: Final = "data"
SOPS_SUFFIXES: Final = (".yaml", ".yml", ".json")


Read = TypeVar("Read", "Settings", bytes)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a file; `sealed`: it was encrypted, so they are in no other file."""

    values: Mapping[str, str] = field(repr=False)
    sealed: bool = False


class SettingsFiles:
    """Settings files and files of secrets, and what was read of each last. Threads may share it."""

    def __init__(self, keyring: Keyring | None = None) -> None:
        self.keyring = keyring or Keyring()
        self._lock = threading.Lock()
        self._last: OrderedDict[tuple[Path, type], Settings | bytes] = OrderedDict()

    def read(self, path: Path, *, last: bool = False) -> Settings:
        """The settings of a file, in file order; while it cannot be read, with `last` what was read of it last.

        Raises ManifestError with every problem, SealedError for want of a key.
        """
        return self._remembered(Settings, path, self._settings, last=last)

    def secret(
        self,
        path: Path,
        key: str | None,
        *,
        last: bool = False,
        admit_plain: Callable[[], None] = lambda: None,
    ) -> bytes:
        """The setting `key` of a file, or with None all that is in it. Otherwise like `read`.

        `admit_plain` is called before the whole of a file that is not encrypted is used, and may raise.
        """
        if key is None:
            return self._remembered(bytes, path, lambda file: self._whole(file, admit_plain), last=last)
        values = self.read(path, last=last).values
        if key not in values:
            raise ManifestError(
                [Problem(path, 0, 0, "", f"has no setting {key}", "add it, or name another key")]
            )
        return values[key].encode()

    def _remembered(self, kind: type[Read], path: Path, read: Callable[[Path], Read], *, last: bool) -> Read:
        try:
            found = read(path)
        except ManifestError:
            with self._lock:
                known = self._last.get((path, kind)) if last else None
            if isinstance(known, kind):
                return known
            raise
        with self._lock:
            self._last[path, kind] = found
            self._last.move_to_end((path, kind))
            while len(self._last) > REMEMBERED:
                self._last.popitem(last=False)
        return found

    def _settings(self, path: Path) -> Settings:
        content = _content(path)
        if age.is_age(content):
            return Settings(parse_settings(decode(self.plaintext(content, path), path), path), sealed=True)
        if sops.is_sops(content):
            return Settings(sops.decrypt(decode(content, path), path, self._keys()), sealed=True)
        if path.suffix in SOPS_SUFFIXES:
            raise sealed_error(
                path,
                1,
                "has no metadata of SOPS",
                "encrypt it with sops, or write KEY=VALUE in a file of another name",
            )
        _check_plain(content, path)
        return Settings(parse_settings(decode(content, path), path))

    def _whole(self, path: Path, admit_plain: Callable[[], None]) -> bytes:
        content = _content(path)
        if age.is_age(content):
            return self.plaintext(content, path)
        if sops.is_sops(content):
            # What SOPS calls binary is JSON with the content as the only value.
            values = sops.decrypt(decode(content, path), path, self._keys())
            if list(values) != [SOPS_BINARY]:
                raise ManifestError(
                    [Problem(path, 0, 0, "", "has several values", "name one of them by key")]
                )
            return values[SOPS_BINARY].encode()
        _check_plain(content, path)
        admit_plain()
        return content

    def plaintext(self, content: bytes, path: Path) -> bytes:
        """What is encrypted in an age file. Raises SealedError."""
        keys = self._keys()
        return age.decrypt(content, keys, path, missing=lambda: missing(path.parent, keys))

    def _keys(self) -> tuple[Key, ...]:
        return self.keyring.load() if self.keyring.paths else ()


def _content(path: Path) -> bytes:
    content = read_bytes(path)
    check_size(content, path)
    return content


def _check_plain(content: bytes, path: Path) -> None:
    """Raises SealedError for a file that was meant to be encrypted."""
    if path.suffix == AGE_SUFFIX:
        raise sealed_error(
            path,
            1,
            "is not encrypted, though its name says so",
            f"run: vaultctl secret encrypt {path}; its values are known",
        )
    if line := sops.orphan(content):
        raise sealed_error(
            path,
            line,
            "is encrypted by SOPS, but its metadata is not in the file",
            "restore it, for example from Git",
        )


def is_sealed(content: bytes) -> bool:
    """Whether this is the content of an encrypted file, which other users may read."""
    return age.is_age(content) or sops.is_sops(content)


def readable_by_others(path: Path) -> PermissionWarning | None:
    """A warning when every user of the machine can read secrets in a file; those of an encrypted one they cannot. Raises
    OSError if it is gone.
    """
    warning = permission_warning(path)
    try:
        return None if warning and is_sealed(read_bytes(path)) else warning
    except ManifestError:
        return warning
