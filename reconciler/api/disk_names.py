"""Names on disk, which are bytes: Python makes text of any, and not every such text can be written."""

from __future__ import annotations

__all__ = ["as_text"]


def as_text(quoted: str) -> str:
    """The same text, with what is no UTF-8 in it spelled out: statuses, events and SQLite take nothing else."""
    return quoted.encode(errors="backslashreplace").decode()
