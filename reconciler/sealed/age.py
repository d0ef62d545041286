"""The age format (age-encryption.org/v1): decryption with X25519 keys, binary or armored, and what the header says.

The library does the cryptography; the header is read here as well, because its error does not say why no key fits. A file
that is encrypted with a passphrase is refused before anything is computed: its author chooses how long that takes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.sealed.errors import SealedError, no_key_error, sealed_error
from reconciler.sealed.keys import Key

__all__ = ["ARMOR", "MAGIC", "Stanza", "decrypt", "encrypt", "is_age", "is_recipient", "stanzas"]

MAGIC: Final = b"age-encryption.org/v1\n"
ARMOR: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
ARMOR_END: Final = b"-----END AGE ENCRYPTED FILE-----"
MAX_STANZAS: Final = 100
"""Recipients of a file; each key is tried on each of them."""

X25519: Final = "X25519"
NO_KEY: Final = "No matching keys found"
"""What the library says if no key fits; all else is damage. A test holds it to that."""

_KINDS: Final = {
    "scrypt": "with a passphrase",
    "ssh-ed25519": "to an SSH key",
    "ssh-rsa": "to an SSH key",
    "piv-p256": "to a key on a YubiKey",
    "mlkem768x25519": "to a post-quantum key",
}
_RECIPIENT: Final = re.compile(r"age1[02-9ac-hj-np-z]{58}")


@dataclass(frozen=True, slots=True)
class Stanza:
    """One recipient of a file, as its header names it; `line` is 1 in an armored file, whose lines show nothing."""

    kind: str
    line: int


def is_age(content: bytes) -> bool:
    """Whether this is the begin of an age file."""
    return content.startswith(MAGIC) or content.lstrip()[: len(ARMOR)] == ARMOR


def is_recipient(text: str) -> bool:
    """Whether this is the public half of an X25519 key."""
    from pyrage import RecipientError, x25519

    if not _RECIPIENT.fullmatch(text):
        return False
    try:
        x25519.Recipient.from_str(text)
    except RecipientError:
        return False
    return True


def encrypt(content: bytes, recipients: Collection[str]) -> bytes:
    """The content as an armored age file, which Git can keep as text. Raises ValueError for what is no recipient."""
    from pyrage import RecipientError, encrypt, x25519

    try:
        public = [x25519.Recipient.from_str(each) for each in recipients]
    except RecipientError:
        raise ValueError("is no age recipient") from None
    return bytes(encrypt(content, public, armored=True))


def decrypt(
    content: bytes,
    keys: Sequence[Key],
    path: Path,
    *,
    line: int = 0,
    missing: Callable[[], str] = lambda: "",
) -> bytes:
    """The plaintext. Raises SealedError at the file, or at `line` of it if the content is only a part of that.

    `missing` says which recipients are known to be without a key here.
    """
    from pyrage import DecryptError, decrypt

    header = stanzas(content, path, line)
    place = line or next((each.line for each in header if each.kind == X25519), header[0].line)
    kinds = Counter(each.kind for each in header)
    if not kinds[X25519]:
        how = next((_KINDS[kind] for kind in kinds if kind in _KINDS), f"in the way {header[0].kind[:40]!r}")
        raise sealed_error(
            path,
            place,
            f"is encrypted {how}, which is not read",
            "encrypt it to an age1… recipient: vaultctl secret encrypt",
        )
    if not keys:
        raise no_key_error(path, place, missing())
    try:
        return bytes(decrypt(content, [key.identity for key in keys]))
    except DecryptError as error:
        if str(error) != NO_KEY:
            raise _damaged(path, line) from None
    count = kinds[X25519]
    raise sealed_error(
        path,
        place,
        f"is encrypted to {count} {'recipient' if count == 1 else 'recipients'}, of which no key is here{missing()}; "
        f"{_listed(keys)}",
        "add the key to --age-keys, or let an owner of one run: vaultctl secret rotate --add RECIPIENT FILE",
    )


def stanzas(content: bytes, path: Path, line: int = 0) -> tuple[Stanza, ...]:
    """The recipients that the header names. Raises SealedError if it is no header of an age file."""
    armored = not content.startswith(MAGIC)
    lines = (_unarmored(content, path, line) if armored else content).split(b"\n")
    if lines[0] + b"\n" != MAGIC:
        raise _damaged(path, line)
    found: list[Stanza] = []
    for number, text in enumerate(lines[1:], start=2):
        if text.startswith(b"---"):
            break
        if text.startswith(b"-> "):
            kind = text[3:].split(b" ")[0].decode("ascii", "replace")
            found.append(Stanza(kind, line or (1 if armored else number)))
            if len(found) > MAX_STANZAS:
                raise sealed_error(
                    path, line or 1, f"has more than {MAX_STANZAS} recipients", "encrypt it to fewer"
                )
    else:
        raise _damaged(path, line)
    if not found:
        raise _damaged(path, line)
    return tuple(found)


def _unarmored(content: bytes, path: Path, line: int) -> bytes:
    body = content.strip().removeprefix(ARMOR)
    if not body.endswith(ARMOR_END):
        raise _damaged(path, line)
    try:
        return base64.b64decode(b"".join(body.removesuffix(ARMOR_END).split()), validate=True)
    except binascii.Error:
        raise _damaged(path, line) from None


def _listed(keys: Sequence[Key]) -> str:
    shown = ", ".join(f"{key.recipient} ({key.path}:{key.line})" for key in keys[:3])
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"the keys here are {shown}{more}"


def _damaged(path: Path, line: int) -> SealedError:
    return sealed_error(
        path,
        line or 1,
        "is truncated, or was changed after it was encrypted",
        "restore it, for example from Git",
    )
