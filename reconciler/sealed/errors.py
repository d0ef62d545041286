"""The error of an encrypted file or of a key. It has a reason of its own: what is missing is often a key and no change of a
manifest.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from reconciler.api.errors import ManifestError, Problem
from reconciler.api.reasons import Reason

__all__ = ["NoKeyError", "SealedError", "no_key_error", "sealed_error"]


class SealedError(ManifestError):
    """A file cannot be decrypted, or a file of keys cannot be used."""

    reason: ClassVar[Reason] = Reason.CANNOT_DECRYPT


class NoKeyError(SealedError):
    """A file is encrypted, and no key was named at all; who only checks manifests may have none."""


def no_key_error(path: Path, line: int, missing: str) -> NoKeyError:
    """The error of an encrypted file without any key; `missing` says which one would do, if that is known."""
    message = f"is encrypted, and vaultctl has no key{missing}"
    return NoKeyError(
        [Problem(path, line, 1, "", message, "name the file of one with --age-keys (VAULT_AGE_KEYS)")]
    )


def sealed_error(path: Path, line: int, message: str, suggestion: str = "") -> SealedError:
    """The error of one problem at that line; 0 is the whole file."""
    return SealedError([Problem(path, line, 1 if line else 0, "", message, suggestion)])
