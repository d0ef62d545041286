"""Signed texts: cookies, and the tokens of forms. A text of one purpose is never accepted for another.

No text is signed twice: pages are compressed, and from the length of a page that repeats what an attacker has chosen, one
could guess a token that is the same in each of them (BREACH).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import cached_property
from typing import Any, Final

from itsdangerous import BadData, URLSafeTimedSerializer

__all__ = ["Signing"]

_PURPOSE: Final = b"vault-reconciler page"


class Signing:
    """Signs with a key that is derived from that of the state directory."""

    def __init__(self, state_key: bytes) -> None:
        if not state_key:
            raise ValueError("signatures need a key")
        self._key = hmac.new(state_key, _PURPOSE, hashlib.sha256).digest()

    def sign(self, purpose: str, value: Any) -> str:
        """The signed text of a value of JSON, which can be read by others; another one each time."""
        return str(self._of(purpose).dumps([secrets.token_urlsafe(9), value]))

    def read(self, purpose: str, text: str, seconds: float) -> Any:
        """The value of a text that was signed at most so long ago; None for any other text."""
        try:
            found = self._of(purpose).loads(text, max_age=int(seconds))
        except BadData:
            return None
        return found[1] if isinstance(found, list) and len(found) == 2 else None

    def _of(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._key, salt=purpose, signer_kwargs=self._options)

    @cached_property
    def _options(self) -> dict[str, Any]:
        return {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
