"""How SOPS encrypts a value: AES-256-GCM, with the keys that lead to it as additional data: it opens nowhere else."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

__all__ = ["BrokenValueError", "is_encrypted", "open_value"]

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
NONCE_BYTES: Final = range(8, 129)
TYPES: Final = frozenset({"str", "int", "float", "bool", "bytes"})

_VALUE: Final = re.compile(
    r"ENC\[AES256_GCM,data:([A-Za-z0-9+/=]*),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z0-9]+)\]"
)


class BrokenValueError(Exception):
    """A value was changed, cut off, or taken from another place."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was encrypted, as bytes, and the type that SOPS will have it as."""

    content: bytes
    type: str

    def __repr__(self) -> str:
        return f"Opened({self.type})"


def is_encrypted(value: object) -> bool:
    """Whether a value looks as SOPS writes encrypted ones."""
    return isinstance(value, str) and value.startswith("ENC[")


def open_value(text: str, key: bytes, context: str) -> Opened:
    """Decrypt a value; `context` is its additional data. Raises BrokenValueError."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    match = _VALUE.fullmatch(text)
    if match is None:
        raise BrokenValueError
    try:
        data, nonce, tag = (base64.b64decode(each, validate=True) for each in match.groups()[:3])
    except binascii.Error:
        raise BrokenValueError from None
    kind = match[4]
    if len(tag) != TAG_BYTES or len(nonce) not in NONCE_BYTES or kind not in TYPES:
        raise BrokenValueError
    try:
        return Opened(AESGCM(key).decrypt(nonce, data + tag, context.encode()), kind)
    except InvalidTag:
        raise BrokenValueError from None
