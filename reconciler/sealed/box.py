"""Bytes that only the holder of a file of keys can read: compressed, and encrypted to the first key of the file.

Unlike settings files they are in the binary format, which is smaller, and only this program writes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from reconciler.packing import packed, unpacked
from reconciler.sealed.age import decrypt
from reconciler.sealed.errors import SealedError
from reconciler.sealed.keys import Key, load_keys

__all__ = ["Box", "new_identity"]

LONGEST: Final = 16 * 1024 * 1024
"""Bytes of an opened content: what is read is not trusted with memory."""
PLACE: Final = Path("box")
"""Where errors say that the damage is; they are not shown."""


def new_identity() -> str:
    """The text of a file with a new age identity."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    return f"# public key: {identity.to_public()}\n{identity}\n"


class Box:
    """Seals and opens with the keys of one file. Threads may share it."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys

    @classmethod
    def of(cls, path: Path) -> Box:
        """With the keys of this file. Raises SealedError if it cannot be used."""
        return cls(load_keys([path]))

    def seal(self, content: bytes) -> bytes:
        """The content, readable with the first key only; another text each time."""
        from pyrage import encrypt

        return bytes(encrypt(packed(content), [self._keys[0].identity.to_public()]))

    def open(self, sealed: bytes) -> bytes | None:
        """The content that was sealed; None if none of the keys opens it, or if it is damaged."""
        try:
            return unpacked(decrypt(sealed, self._keys, PLACE), LONGEST)
        except (SealedError, ValueError):
            return None
