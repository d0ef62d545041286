"""The error of an encrypted file or of a key. It has a reason of its own: what is missing is often a key and no change of a
manifest.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from reconciler.api.errors import ManifestError, Problem
from reconciler.api.reasons import Reason

__all__ = ["SealedError", "sealed_error"]


class SealedError(ManifestError):
    """A file cannot be decrypted, or a file of keys cannot be used."""

    reason: ClassVar[Reason] = Reason.CANNOT_DECRYPT


def sealed_error(path: Path, line: int, message: str, suggestion: str = "") -> SealedError:
    """The error of one problem at that line; 0 is the whole file."""
    return SealedError([Problem(path, line, 1 if line else 0, "", message, suggestion)])
