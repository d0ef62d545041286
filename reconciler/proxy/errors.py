"""What can go wrong between the controller and HAProxy.

    TemporaryError
    └── ProxyError            HAProxy refused or did not answer in time; names the command and the answer
        └── ProxyAwayError    its socket accepts no connection

The second has its own type because a HAProxy that is not running has no traffic to lose: changes may skip it.
"""

from __future__ import annotations

from typing import Final

from reconciler.api.errors import TemporaryError
from reconciler.api.reasons import Reason

__all__ = ["MAX_LOG", "MAX_QUOTE", "ProxyAwayError", "ProxyError", "quoted"]

MAX_QUOTE: Final = 200
"""Characters of an answer that an error repeats."""
MAX_LOG: Final = 2000
"""Characters of a start-up log that an error repeats."""


class ProxyError(TemporaryError):
    """HAProxy did not carry out a command; the next pass tries again."""

    reason = Reason.PROXY


class ProxyAwayError(ProxyError):
    """The socket of an HAProxy does not exist, or accepts no connection."""

    reason = Reason.PROXY_AWAY


def quoted(text: str, most: int = MAX_QUOTE) -> str:
    """A text, or the beginning and the end of one that is too long for a message."""
    return text if len(text) <= most else f"{text[: most // 2]} […] {text[-(most // 2) :]}"
