"""What this process has open: a test that counts before and after finds what was never closed."""

from __future__ import annotations

from pathlib import Path


def sockets() -> int:
    """How many sockets this process has open."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += str(link.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue
    return found
