"""The interface that the rest needs of registries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from reconciler.core.images.reference import Reference

__all__ = ["Registries"]


class Registries(Protocol):
    """All registries; every call has a deadline and raises RegistryError with a sentence for people."""

    def tags(self, image: Reference) -> tuple[str, ...]:
        """The tags of the image's repository."""

    def digest(self, image: Reference) -> str:
        """The digest of what the image's tag means now."""

    def is_signed(self, image: Reference, keys: Sequence[str]) -> bool:
        """Whether cosign has signed the image of this digest with one of these public keys (PEM). Also raises
        PermanentError, for what is no such key.
        """
