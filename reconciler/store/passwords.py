"""Digests of passwords: scrypt of the standard library, with its parameters in each digest.

One is computed at a time: each takes 32 MiB and a tenth of a second of a processor, and logins must not take either from
the controller.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from typing import Final

from reconciler.api import PermanentError

__all__ = ["MAX_LENGTH", "MIN_LENGTH", "Busy", "check_password", "digest_of", "matches"]

MIN_LENGTH: Final = 12
MAX_LENGTH: Final = 256
"""Characters; a longer one adds nothing and costs time."""
WAIT_SECONDS: Final = 3.0

COST, BLOCK, PARALLEL = 2**15, 8, 3
"""Of the recommendations of OWASP that cost the same to an attacker, the one with 32 MiB of memory."""
MEMORY: Final = 64 * 1024 * 1024
SALT_BYTES: Final = 16
_NAME: Final = "scrypt"

_one_at_a_time = threading.Lock()


class Busy(Exception):  # noqa: N818 - it says that a login has to wait, which is no error
    """Too many logins at once."""


def check_password(password: str) -> None:
    """Raises PermanentError, without the password, if it cannot be used."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise PermanentError(
            f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters; a sentence is easy to keep"
        )
    if not password.isprintable():
        raise PermanentError("a password has only characters that can be typed on one line")


def digest_of(password: str) -> str:
    """A new digest of a password."""
    salt = secrets.token_bytes(SALT_BYTES)
    return "$".join(
        (
            _NAME,
            str(COST),
            str(BLOCK),
            str(PARALLEL),
            _text(salt),
            _text(_scrypt(password, salt, COST, BLOCK, PARALLEL)),
        )
    )


def matches(password: str, digest: str | None) -> bool:
    """Whether a password has this digest. Without one it takes as long, and the answer is no. Raises Busy."""
    name, *rest = (digest or _NO_DIGEST).split("$")
    cost, block, parallel, salt, wanted = rest
    found = _scrypt(password[:MAX_LENGTH], _bytes(salt), int(cost), int(block), int(parallel))
    is_same = hmac.compare_digest(found, _bytes(wanted))
    return is_same and digest is not None and name == _NAME


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    if not _one_at_a_time.acquire(timeout=WAIT_SECONDS):
        raise Busy
    try:
        return hashlib.scrypt(
            password.encode(errors="surrogatepass"), salt=salt, n=cost, r=block, p=parallel, maxmem=MEMORY
        )
    finally:
        _one_at_a_time.release()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_NO_DIGEST: Final = "$".join(
    (_NAME, str(COST), str(BLOCK), str(PARALLEL), _text(bytes(SALT_BYTES)), _text(bytes(64)))
)
