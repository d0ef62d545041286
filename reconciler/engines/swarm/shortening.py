"""Names that a Swarm accepts: one that is too long keeps its beginning, and has a digest of the whole at its end."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

__all__ = ["FILE_NAME", "SERVICE_NAME", "shortened"]

SERVICE_NAME: Final = 63
"""Characters of the name of a service: it is a label of DNS."""
FILE_NAME: Final = 64
"""Characters of the name of a secret or a config."""
DIGITS: Final = 12


def shortened(name: str, most: int) -> str:
    """The name, or one of this length in its place."""
    if len(name) <= most:
        return name
    return f"{name[: most - DIGITS - 1]}-{sha256(name.encode()).hexdigest()[:DIGITS]}"
