"""Keeps secrets out of what is said about a build.

A plugin gets the secrets of `envFrom`, and what it raises may quote one: `int()` of a password does. Messages become
status, events and logs, so they are searched for every secret before they leave.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from typing import Final

from reconciler.api.errors import VaultError

MASK: Final = "[secret]"
SHORTEST: Final = 5
"""Characters from which a setting is taken for a secret: hiding every `true` or `8080` would hide the message."""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` with MASK for every secret in it, also where it was quoted as Python does."""
    # The longest first, so that no secret that contains another one is left in part.
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SHORTEST:
            for spelling in (secret, repr(secret)[1:-1], secret.replace("$", "$$")):
                text = text.replace(spelling, MASK)
    return text


def redact(error: VaultError, secrets: Iterable[str]) -> None:
    """Take every secret out of an error, and its causes away when they have one, so that no traceback shows them."""
    known = tuple(secrets)
    whole = "".join(traceback.format_exception(error))
    if redacted(whole, known) != whole:
        error.message = redacted(error.message, known)
        error.args = (error.message,)
        error.__cause__ = error.__context__ = None
