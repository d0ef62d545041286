"""The private keys that decrypt: files of age identities that only their owner can read.

The files are looked at for each use, so that a new key needs no restart; they are read again only when one has changed. A
key that other users may read is refused, because it protects nothing.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reconciler.api.errors import Problem
from reconciler.sealed.errors import SealedError, sealed_error

__all__ = ["Key", "Keyring", "load_keys"]

MAX_BYTES: Final = 64 * 1024
MAX_KEYS: Final = 100
"""Each key is tried on each recipient of a file."""

PRIVATE_KEY: Final = "AGE-SECRET-KEY-1"
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

Stamp = tuple[str, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Key:
    """A private key; `recipient` is its public half, which may be shown. `identity` is what age decrypts with."""

    recipient: str
    path: Path
    line: int
    identity: Any = field(repr=False, compare=False)


class Keyring:
    """The keys in files and directories. Threads may share it."""

    def __init__(self, paths: Sequence[Path] = ()) -> None:
        self.paths = tuple(paths)
        self._lock = threading.Lock()
        self._known: tuple[tuple[Stamp, ...], tuple[Key, ...]] = ((), ())

    def load(self) -> tuple[Key, ...]:
        """All keys, in the order of their files. Raises SealedError for a file that cannot be used."""
        with self._lock:
            files = key_files(self.paths)
            stamps = tuple(_stamp(path) for path in files)
            if stamps != self._known[0]:
                self._known = (stamps, load_keys(files))
            return self._known[1]


def key_files(paths: Iterable[Path]) -> list[Path]:
    """The files of these paths; of a directory all that are not hidden. Raises SealedError."""
    found: list[Path] = []
    for path in paths:
        try:
            if not path.is_dir():
                found.append(path)
                continue
            if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise sealed_error(path, 0, "can be written to by other users", f"run: chmod go-w {path}")
            inside = sorted(each for each in path.iterdir() if not each.name.startswith("."))
        except OSError as error:
            raise _unreadable(path, error) from None
        found += [each for each in inside if not each.is_dir()]
    return found


def load_keys(files: Iterable[Path]) -> tuple[Key, ...]:
    """The keys of these files, each once. Raises SealedError with every problem of all of them."""
    keys: dict[str, Key] = {}
    problems: list[Problem] = []
    for path in files:
        try:
            for key in _read(path):
                keys.setdefault(key.recipient, key)
        except SealedError as error:
            problems += error.problems
    if problems:
        raise SealedError(problems)
    if len(keys) > MAX_KEYS:
        first = next(iter(keys.values()))
        raise sealed_error(
            first.path, 0, f"there are more than {MAX_KEYS} keys", "keep those that are in use"
        )
    return tuple(keys.values())


def _read(path: Path) -> list[Key]:
    from pyrage import IdentityError, x25519

    keys: list[Key] = []
    problems: list[Problem] = []
    for number, line in enumerate(_content(path).splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        # No message quotes the line: it may be a key, or the content of a file that was named by mistake.
        if not text.startswith(PRIVATE_KEY):
            message = (
                "is no age key" if not text.startswith("AGE-") else "is an age key of a kind that is not read"
            )
            advice = f"keep only lines that start with {PRIVATE_KEY}, as age-keygen writes them"
            problems += sealed_error(path, number, message, advice).problems
            continue
        try:
            identity = x25519.Identity.from_str(text)
        except IdentityError:
            problems += sealed_error(
                path, number, "is a damaged age key", "restore it from a backup"
            ).problems
        else:
            keys.append(Key(str(identity.to_public()), path, number, identity))
    if not keys and not problems:
        problems += sealed_error(
            path, 0, "holds no age key", f"write one with: age-keygen -o {path}"
        ).problems
    if problems:
        raise SealedError(problems)
    return keys


def _content(path: Path) -> str:
    """The text of a file of which only its owner can read anything; looked at through its descriptor."""
    try:
        # A pipe that is named by mistake must not stop the controller.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise sealed_error(
                    path, 0, "is not a regular file", "name a file of age keys, or a directory of them"
                )
            if found.st_mode & OTHERS:
                raise sealed_error(path, 0, "holds keys that other users may read", f"run: chmod 600 {path}")
            if found.st_uid not in (os.geteuid(), 0):
                raise sealed_error(
                    path, 0, "belongs to another user, who can read it", f"run: chown {os.geteuid()} {path}"
                )
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if len(content) > MAX_BYTES:
        raise sealed_error(path, 0, f"is larger than {MAX_BYTES // 1024} KiB", "name a file of age keys")
    return content.decode(errors="replace")


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return (str(path), found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode)


def _unreadable(path: Path, error: OSError) -> SealedError:
    reason = os.strerror(error.errno) if error.errno else "unknown reason"
    return sealed_error(
        path, 0, f"cannot be read: {reason}", "check the path of --age-keys and its permissions"
    )
