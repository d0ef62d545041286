"""The key of revisions: 32 random bytes in the state directory, so that a revision hash does not reveal a secret.

Losing the key costs one replacement of every container, because all revisions change.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from reconciler.api import PermanentError
from reconciler.store import files

NAME: Final = "revision.key"
BYTES: Final = 32


def read_key(state_dir: Path) -> bytes:
    """The key; empty if there is none or it may not be read. Raises PermanentError if it is damaged."""
    path = state_dir / NAME
    try:
        text = path.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return b""
    except (OSError, ValueError):
        key = b""
    if len(key) != BYTES:
        raise PermanentError(
            f"{path} is not a revision key: restore it from a backup; without one, remove the file, "
            "and every container is replaced once"
        )
    return key


def take_key(state_dir: Path, source: Path) -> None:
    """Use the key in another file from now on, which several state directories share. Raises PermanentError."""
    try:
        text = source.read_text(encoding="ascii").strip()
        is_key = len(bytes.fromhex(text)) == BYTES
    except (OSError, ValueError):
        is_key = False
    if not is_key:
        raise PermanentError(
            f"{source} is not a file with a revision key, which has {2 * BYTES} hexadecimal digits"
        )
    if read_key(state_dir) != bytes.fromhex(text):
        files.make_traversable(state_dir)
        files.write(state_dir / NAME, text.encode() + b"\n", durable=True)


def ensure_key(state_dir: Path) -> bytes:
    """The key, created if there is none yet. Raises PermanentError or TemporaryError."""
    if key := read_key(state_dir):
        return key
    files.make_traversable(state_dir)
    path = state_dir / NAME
    beside = state_dir / f".{NAME}.{secrets.token_hex(8)}"
    files.write(beside, secrets.token_hex(BYTES).encode() + b"\n", durable=True)
    with files.disk_errors(path, "write"):
        # The link fails if another process was first; then the key of that process is used.
        with suppress(FileExistsError):
            path.hardlink_to(beside)
        beside.unlink(missing_ok=True)
    return read_key(state_dir)
