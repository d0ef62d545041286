"""What a client of WebSockets needs that reads in one thread and writes in another, as websockets.sync does."""

from __future__ import annotations

import ssl
from pathlib import Path

__all__ = ["trust_for_threads"]


def trust_for_threads(authorities: Path) -> ssl.SSLContext:
    """A context that trusts the authorities of a file, for such a client.

    A connection of OpenSSL is for one thread at a time. With TLS 1.3 the reading one takes in the server's tickets just
    when the other sends the request, which then may never leave. TLS 1.2 has none after the handshake.
    """
    context = ssl.create_default_context(cafile=str(authorities))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context
