"""What can go wrong between the controller and HAProxy.

    TemporaryError
    └── ProxyError            HAProxy refused or did not answer in time; names the command and the answer
        └── ProxyAwayError    nobody listens on its socket

The second has its own type because a HAProxy that is not there has no traffic to lose: changes may pass it by.
"""

from __future__ import annotations

from reconciler.api.errors import TemporaryError

__all__ = ["ProxyAwayError", "ProxyError"]


class ProxyError(TemporaryError):
    """HAProxy did not do what it was asked; the next pass asks again."""


class ProxyAwayError(ProxyError):
    """The socket of an HAProxy is not there, or nobody listens on it."""
