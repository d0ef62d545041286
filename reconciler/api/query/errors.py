"""The error of a question that cannot be asked."""

from __future__ import annotations

from reconciler.api.errors import VaultError

__all__ = ["QueryError"]


class QueryError(VaultError):
    """A path, a template or a selector is not valid, or does not suit the document that it is asked about. What of
    the question is not printable is shown escaped: it comes from a command line or a client.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(each if each.isprintable() else ascii(each)[1:-1] for each in message))
