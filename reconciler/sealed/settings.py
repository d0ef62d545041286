"""Reads the files that `envFrom` names, plain or encrypted, and remembers in memory what they held.

What a file is, its content says: one that was encrypted by mistake in another way, or not at all, is noticed. What was read
last lets a service go on, with healing and scaling, while a file cannot be read.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from reconciler.api.env_file import PermissionWarning, parse_settings, permission_warning
from reconciler.api.errors import ManifestError
from reconciler.api.text_file import check_size, decode, read_bytes
from reconciler.sealed import age, sops
from reconciler.sealed.errors import sealed_error
from reconciler.sealed.keys import Key, Keyring
from reconciler.sealed.recipients import missing

__all__ = ["Settings", "SettingsFiles", "is_sealed", "readable_by_others"]

REMEMBERED: Final = 1000
"""Files whose last settings are kept."""

AGE_SUFFIX: Final = ".age"
SOPS_SUFFIXES: Final = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a file; `sealed`: it was encrypted, so they are in no other file."""

    values: Mapping[str, str] = field(repr=False)
    sealed: bool = False


class SettingsFiles:
    """Settings files, and what was read of each last. Threads may share it."""

    def __init__(self, keyring: Keyring | None = None) -> None:
        self.keyring = keyring or Keyring()
        self._lock = threading.Lock()
        self._last: OrderedDict[Path, Settings] = OrderedDict()

    def read(self, path: Path) -> Settings:
        """The settings of a file, in file order. Raises ManifestError with every problem, SealedError for want of a key."""
        content = read_bytes(path)
        check_size(content, path)
        if age.is_age(content):
            plain = decode(self.plaintext(content, path), path)
            settings = Settings(parse_settings(plain, path), sealed=True)
        elif sops.is_sops(content):
            settings = Settings(sops.decrypt(decode(content, path), path, self._keys()), sealed=True)
        elif path.suffix in SOPS_SUFFIXES:
            raise sealed_error(
                path,
                1,
                "has no metadata of SOPS",
                "encrypt it with sops, or write KEY=VALUE in a file of another name",
            )
        elif path.suffix == AGE_SUFFIX:
            raise sealed_error(
                path,
                1,
                "is not encrypted, though its name says so",
                f"run: vaultctl secret encrypt {path}; its values are known",
            )
        elif line := sops.orphan(content):
            raise sealed_error(
                path,
                line,
                "is encrypted by SOPS, but its metadata is not in the file",
                "restore it, for example from Git",
            )
        else:
            settings = Settings(parse_settings(decode(content, path), path))
        with self._lock:
            self._last[path] = settings
            self._last.move_to_end(path)
            while len(self._last) > REMEMBERED:
                self._last.popitem(last=False)
        return settings

    def read_or_last(self, path: Path) -> Settings:
        """The same; while the file cannot be read, what was read last. Raises ManifestError if it never was."""
        try:
            return self.read(path)
        except ManifestError:
            with self._lock:
                if last := self._last.get(path):
                    return last
            raise

    def plaintext(self, content: bytes, path: Path) -> bytes:
        """What is encrypted in an age file. Raises SealedError."""
        keys = self._keys()
        return age.decrypt(content, keys, path, missing=lambda: missing(path.parent, keys))

    def _keys(self) -> tuple[Key, ...]:
        return self.keyring.load() if self.keyring.paths else ()


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
