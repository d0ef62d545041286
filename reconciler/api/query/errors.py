"""The error of a question that cannot be asked."""

from __future__ import annotations

from reconciler.api.errors import VaultError

__all__ = ["QueryError"]


class QueryError(VaultError):
    """A path, a template or a selector is not valid, or does not suit the document that it is asked about."""
