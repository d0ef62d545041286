"""The request headers that clients must not set.

Servers that follow CGI (WSGI, Rack, PHP) turn every punctuation character in a header's name into "_", so a client that
writes X_Forwarded_For or X.Forwarded.For forges what HAProxy wrote as X-Forwarded-For. A "-" in a name therefore matches
any punctuation. HAProxy compares names in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["FOLDED", "OURS", "REQUEST_ID", "expression"]

OURS: Final = (
    # The origin of a request; HAProxy sets these itself.
    "forwarded",
    "forwarded-*",
    "front-end-https",
    "x-forwarded",
    "x-forwarded-*",
    "x-host",
    "x-http-host-override",
    "x-real-*",
    "x-scheme",
    "x-url-scheme",
    # Another path or host than that of the request line; some frameworks trust them.
    "path-info",
    "script-name",
    "x-original-for",
    "x-original-forwarded-*",
    "x-original-host",
    "x-original-method",
    "x-original-path",
    "x-original-proto",
    "x-original-remote-addr",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-path",
    "x-rewrite-uri",
    "x-rewrite-url",
    # CGI turns it into HTTP_PROXY, which programs use as their outgoing proxy.
    "proxy",
    # Hop-by-hop.
    "http2-settings",
    "keep-alive",
    "proxy-connection",
)
REQUEST_ID: Final = ("x-request-id",)

FOLDED: Final = ("content-length", "content-type", "transfer-encoding")
"""Headers that clients may set, but only under their proper name."""

LONGEST: Final = 64
"""Characters of a name."""

_PATTERN: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*(?:\*|-\*)?")
_ANY_MARK: Final = "[^a-z0-9]"
_OTHER_MARK: Final = "[^a-z0-9-]"


def expression(patterns: Iterable[str], *, other_marks: bool = False) -> str:
    """A regular expression for headers by their names, which may end with a `*`; "" for none. With `other_marks` the
    proper name itself is left out.

    Raises ValueError for a name that could be more than a name.
    """
    mark = _OTHER_MARK if other_marks else _ANY_MARK
    names = sorted({pattern.lower() for pattern in patterns})
    for name in names:
        if len(name) > LONGEST or not _PATTERN.fullmatch(name):
            raise ValueError(f"header: {name!r} cannot be written into an HAProxy configuration")
    if not names:
        return ""
    return f"^({'|'.join(name.replace('-', mark).replace('*', '.*') for name in names)})$"
