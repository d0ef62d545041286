"""What can go wrong with a registry; each may be over the next time, so all are temporary.

    RegistryError            it is away, or its answer cannot be used
    ├── NoAccessError        it wants credentials, or others
    └── UnknownImageError    it has no such repository or tag

No message has credentials, or text of the registry's own.
"""

from __future__ import annotations

from reconciler.api.errors import TemporaryError

__all__ = ["NoAccessError", "RegistryError", "UnknownImageError"]


class RegistryError(TemporaryError):
    """The registry did not give a usable answer; `delay` is what it asks for, if it does."""


class NoAccessError(RegistryError):
    """The registry refuses the credentials, or wants some."""


class UnknownImageError(RegistryError):
    """The registry answers, and has no such repository or tag."""
